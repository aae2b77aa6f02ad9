{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed(
        'customer_id', changed_customers(),
        as_of_month_moved() ~ ' or ' ~ parameters_moved('survey_measures')
    ) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('survey_measures') }}

{%- set is_in_scope = where_changed(
    'customer_id', changed_customers(),
    as_of_month_moved() ~ ' or ' ~ parameters_moved('survey_measures')
) %}

with orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled and {{ is_in_scope }}
),

invoices as (
    select * from {{ ref('fct_invoices') }}
    where {{ is_in_scope }}
),

payments as (
    select * from {{ ref('fct_payments') }}
    where {{ is_in_scope }}
),

survey_responses as (
    select * from {{ ref('fct_survey_responses') }}
    where {{ is_in_scope }}
),

order_months as (
    select
        customer_id,
        order_month as month_on,
        count(*) as count_orders,
        sum(count_lines) as count_order_lines,
        sum(weight_tonnes) as weight_tonnes,
        sum(revenue_amount) as revenue_amount,
        sum(discount_amount) as discount_amount,
        sum(cost_amount) as cost_amount,
        sum(margin_amount) as margin_amount
    from orders
    group by customer_id, order_month
),

-- what the customer owes moves with invoices and credit notes, and with payments on receipt
balance_moves as (
    select
        customer_id,
        {{ month_start('invoiced_on') }} as month_on,
        invoice_amount as invoiced_amount,
        invoice_amount as balance_change_amount
    from invoices
    union all
    select
        customer_id,
        {{ month_start('received_on') }} as month_on,
        0 as invoiced_amount,
        -credited_amount as balance_change_amount
    from payments
    union all
    -- a dishonoured bill paid until the day it was dishonoured: earlier month ends keep it
    select
        customer_id,
        {{ month_start('received_on') }} as month_on,
        0 as invoiced_amount,
        credited_amount - payment_amount as balance_change_amount
    from payments
    where dishonoured_on <= {{ as_of_date() }}
    union all
    select
        customer_id,
        {{ month_start('dishonoured_on') }} as month_on,
        0 as invoiced_amount,
        payment_amount - credited_amount as balance_change_amount
    from payments
    where dishonoured_on <= {{ as_of_date() }}
),

balance_months as (
    select
        customer_id,
        month_on,
        sum(invoiced_amount) as invoiced_amount,
        sum(balance_change_amount) as balance_change_amount
    from balance_moves
    group by customer_id, month_on
),

cash_months as (
    select
        customer_id,
        {{ month_start('settled_on') }} as month_on,
        sum(payment_amount) as cash_in_amount
    from payments
    where settled_on <= {{ as_of_date() }}
    group by customer_id, {{ month_start('settled_on') }}
),

survey_months as (
    select
        customer_id,
        {{ month_start('answered_on') }} as month_on,
        count(distinct response_id) as count_survey_responses,
        -- exact sums: the mean of doubles would hang on the order of the rows
        {{ mean_of(
            "sum(score) filter (where measure = 'nps')",
            "count(score) filter (where measure = 'nps')",
        ) }} as nps_score_mean,
        {{ mean_of(
            "sum(score_rate) filter (where measure = 'csat')",
            "count(score_rate) filter (where measure = 'csat')",
        ) }} as csat_score_rate_mean
    from survey_responses
    group by customer_id, {{ month_start('answered_on') }}
),

active_months as (
    select
        customer_id,
        month_on
    from order_months
    union all
    select
        customer_id,
        month_on
    from balance_months
    union all
    select
        customer_id,
        month_on
    from survey_months
),

first_months as (
    select
        customer_id,
        min(month_on) as first_month_on
    from active_months
    group by customer_id
),

customer_months as (
    select
        customer_id,
        cast({{ explode_months('first_month_on', month_start(as_of_date())) }} as date) as month_on
    from first_months
),

joined_months as (
    select
        customer_months.customer_id,
        customer_months.month_on,
        order_months.count_orders,
        order_months.count_order_lines,
        order_months.weight_tonnes,
        order_months.revenue_amount,
        order_months.discount_amount,
        order_months.cost_amount,
        order_months.margin_amount,
        balance_months.invoiced_amount,
        cash_months.cash_in_amount,
        survey_months.count_survey_responses,
        survey_months.nps_score_mean,
        survey_months.csat_score_rate_mean,
        sum(balance_months.balance_change_amount) over (
            partition by customer_months.customer_id
            order by customer_months.month_on
            rows between unbounded preceding and current row
        ) as balance_amount
    from customer_months
    left join order_months
        on
            customer_months.customer_id = order_months.customer_id
            and customer_months.month_on = order_months.month_on
    left join balance_months
        on
            customer_months.customer_id = balance_months.customer_id
            and customer_months.month_on = balance_months.month_on
    left join cash_months
        on
            customer_months.customer_id = cash_months.customer_id
            and customer_months.month_on = cash_months.month_on
    left join survey_months
        on
            customer_months.customer_id = survey_months.customer_id
            and customer_months.month_on = survey_months.month_on
),

final as (
    select
        customer_id,
        month_on,
        {{ reporting_currency() }} as currency,
        cast(coalesce(count_orders, 0) as integer) as count_orders,
        cast(coalesce(count_order_lines, 0) as integer) as count_order_lines,
        cast(weight_tonnes as decimal(18, 4)) as weight_tonnes,
        cast(coalesce(revenue_amount, 0) as decimal(18, 2)) as revenue_amount,
        cast(coalesce(discount_amount, 0) as decimal(18, 2)) as discount_amount,
        cast(cost_amount as decimal(18, 2)) as cost_amount,
        cast(margin_amount as decimal(18, 2)) as margin_amount,
        cast(coalesce(invoiced_amount, 0) as decimal(18, 2)) as invoiced_amount,
        cast(coalesce(cash_in_amount, 0) as decimal(18, 2)) as cash_in_amount,
        cast(greatest(coalesce(balance_amount, 0), 0) as decimal(18, 2)) as open_balance_amount,
        cast(coalesce(count_survey_responses, 0) as integer) as count_survey_responses,
        nps_score_mean,
        csat_score_rate_mean,
        cast(greatest(-coalesce(balance_amount, 0), 0) as decimal(18, 2)) as unapplied_cash_amount
    from joined_months
)

select * from final
