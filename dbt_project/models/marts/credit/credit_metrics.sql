{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_and_running(credit_months_rebuilt_when()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope -%}
    {{ where_changed('customer_id', changed_customers(), credit_months_rebuilt_when()) }}
    or {{ is_running_month() }}
{%- endset %}

with months as (
    select * from {{ ref('int_metric_months') }}
    where {{ is_in_scope }}
),

overdue_months as (
    select * from {{ ref('int_overdue_months') }}
    where {{ is_in_scope }}
),

figures as (
    select
        months.*,
        {{ state_on('months.month_on') }} as month_end_on,
        least(
            {{ add_days(add_months('months.countback_month_on', 1), -1) }}, {{ as_of_date() }}
        ) as countback_ends_on,
        {{ days_between('months.sales_from_on', state_on('months.month_on')) }} + 1
            as dso_window_days,
        coalesce(overdue_months.overdue_invoice_amount, 0) as overdue_invoice_amount,
        coalesce(overdue_months.overdue_day_amount, 0) as overdue_day_amount,
        coalesce(overdue_months.overdue_point_amount, 0) as overdue_point_amount,
        coalesce(overdue_months.count_overdue_invoices, 0) as count_overdue_invoices,
        coalesce(overdue_months.oldest_overdue_days, 0) as oldest_overdue_days
    from months
    left join overdue_months
        on
            months.customer_id = overdue_months.customer_id
            and months.month_on = overdue_months.month_on
),

judged_figures as (
    select
        *,
        {{ credit_statuses() }},
        case
            when {{ seller_is_large() }} then 'seller_is_large'
            when not has_payments then 'no_payments_feed'
            when statutory_overdue_amount is null then 'buyer_size_unknown'
            else 'known'
        end as statutory_status
    from figures
),

final as (
    select
        customer_id,
        month_on,
        month_end_on,
        has_payments,
        {{ reporting_currency() }} as currency,
        {%- for amount in credit_amounts() %}
            cast({{ amount }} as decimal(18, 2)) as {{ amount }},
        {%- endfor %}
        cast(count_paid as integer) as count_paid,
        cast(count_paid_window as integer) as count_paid_window,
        cast(count_overdue_invoices as integer) as count_overdue_invoices,
        cast(oldest_overdue_days as integer) as oldest_overdue_days,
        {{ credit_ratios() }},
        case when statutory_status = 'known' then statutory_overdue_amount end
            as statutory_overdue_amount,
        case when statutory_status = 'known' then statutory_overdue_amount > 0 end
            as is_statutory_overdue,
        statutory_status
    from judged_figures
)

select * from final
