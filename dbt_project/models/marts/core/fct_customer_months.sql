{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months_of_customers(months_need_rebuild()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_partial = is_incremental() and not run_asks_for_rebuild(months_need_rebuild()) %}
{%- set this_month = month_start(as_of_date()) %}

with contract_rules as (
    select * from {{ ref('contract_rules') }}
    where {{ is_in_force() }}
),

-- with those of the months before that tell which contracts are still active
orders as (
    select facts.*
    from {{ ref('fct_orders') }} as facts
    {{ join_changed_months(
            'facts',
            add_months('facts.order_month', '(select active_months - 1 from contract_rules)'),
            is_partial,
        ) }}
    where not facts.is_cancelled
),

invoices as (
    select facts.*
    from {{ ref('fct_invoices') }} as facts
    {{ join_changed_months('facts', 'facts.invoiced_on', is_partial) }}
),

receivables as (
    select facts.*
    from {{ ref('fct_receivables') }} as facts
    {{ join_changed_months('facts', 'facts.month_on', is_partial) }}
),

payments as (
    select facts.*
    from {{ ref('fct_payments') }} as facts
    {{ join_changed_months('facts', 'facts.settled_on', is_partial) }}
),

customer_costs as (
    select facts.*
    from {{ ref('fct_customer_costs') }} as facts
    {{ join_changed_months('facts', 'facts.incurred_on', is_partial) }}
),

interactions as (
    select facts.*
    from {{ ref('fct_interactions') }} as facts
    {{ join_changed_months('facts', 'facts.occurred_on', is_partial) }}
),

complaints as (
    select facts.*
    from {{ ref('fct_complaints') }} as facts
    {{ join_changed_months(
        'facts', 'greatest(facts.opened_on, facts.resolved_on)', is_partial
    ) }}
),

survey_responses as (
    select facts.*
    from {{ ref('fct_survey_responses') }} as facts
    {{ join_changed_months('facts', 'facts.answered_on', is_partial) }}
),

-- without a feed its columns are unknown, not zero
known_feeds as (
    select
        count(*) filter (where feed = 'orders') > 0 as has_orders,
        count(*) filter (where feed = 'customer_costs') > 0 as has_customer_costs,
        count(*) filter (where feed = 'interactions') > 0 as has_interactions,
        count(*) filter (where feed = 'complaints') > 0 as has_complaints,
        count(*) filter (where feed = 'survey_responses') > 0 as has_survey_responses
    from {{ ref('stg_landing__feeds') }}
    where is_configured or count_rows > 0
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
        sum(margin_amount) as margin_amount,
        count(*) filter (where sale_type = 'contract') as count_contract_orders
    from orders
    group by customer_id, order_month
),

return_months as (
    select
        customer_id,
        {{ month_start('invoiced_on') }} as month_on,
        -sum(invoice_amount - coalesce(tax_amount, 0)) as returns_amount
    from invoices
    where kind = 'credit_note'
    group by customer_id, {{ month_start('invoiced_on') }}
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

cost_months as (
    select
        customer_id,
        {{ month_start('incurred_on') }} as month_on,
        sum(cost_amount) filter (where kind = 'acquisition') as acquisition_cost_amount,
        sum(cost_amount) filter (where kind in ('service', 'logistics')) as service_cost_amount
    from customer_costs
    group by customer_id, {{ month_start('incurred_on') }}
),

interaction_months as (
    select
        customer_id,
        {{ month_start('occurred_on') }} as month_on,
        count(*) as count_interactions,
        sum(cost_amount) as interaction_cost_amount
    from interactions
    group by customer_id, {{ month_start('occurred_on') }}
),

complaint_months as (
    select
        customer_id,
        {{ month_start('opened_on') }} as month_on,
        count(*) as count_complaints
    from complaints
    group by customer_id, {{ month_start('opened_on') }}
),

-- what a complaint cost is known when it is resolved
compensation_months as (
    select
        customer_id,
        {{ month_start('coalesce(resolved_on, opened_on)') }} as month_on,
        sum(compensation_amount) as compensation_amount
    from complaints
    group by customer_id, {{ month_start('coalesce(resolved_on, opened_on)') }}
),

-- a contract order makes its month and the next ones months of an active contract
contract_months as (
    select distinct
        order_months.customer_id,
        cast(
            {{ explode_months(
                'order_months.month_on',
                add_months('order_months.month_on', 'contract_rules.active_months - 1')
            ) }} as date
        ) as month_on
    from order_months
    cross join contract_rules
    where order_months.count_contract_orders > 0
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
    from receivables
    union all
    select
        customer_id,
        month_on
    from cost_months
    union all
    select
        customer_id,
        month_on
    from interaction_months
    union all
    select
        customer_id,
        month_on
    from complaint_months
    union all
    select
        customer_id,
        month_on
    from survey_months
),

first_activities as (
    select
        customer_id,
        min(month_on) as first_month_on
    from active_months
    group by customer_id
),

{% if is_partial -%}
    -- who has months before the first to compute goes on after them, active or not
    continued_customers as (
        select
            changed.customer_id,
            changed.first_month_on
        from {{ ref('int_customers_changed') }} as changed
        inner join {{ this }} as months_before
            on
                changed.customer_id = months_before.customer_id
                and {{ add_months('changed.first_month_on', -1) }} = months_before.month_on
    ),

    first_months as (
        select * from continued_customers
        union all
        select * from first_activities
        where customer_id not in (select customer_id from continued_customers)
    ),
{%- else -%}
    first_months as (
        select * from first_activities
    ),
{%- endif %}

customer_months as (
    select
        customer_id,
        cast({{ explode_months('first_month_on', this_month) }} as date) as month_on
    from first_months
    where first_month_on <= {{ this_month }}
),

joined_months as (
    select
        customer_months.customer_id,
        customer_months.month_on,
        order_months.count_orders,
        order_months.count_order_lines,
        order_months.weight_tonnes,
        order_months.margin_amount,
        order_months.cost_amount,
        coalesce(order_months.revenue_amount, 0) as revenue_amount,
        coalesce(order_months.discount_amount, 0) as discount_amount,
        coalesce(return_months.returns_amount, 0) as returns_amount,
        coalesce(receivables.invoiced_amount - receivables.credit_note_amount, 0)
            as invoiced_amount,
        coalesce(cash_months.cash_in_amount, 0) as cash_in_amount,
        coalesce(receivables.open_balance_amount, 0) as open_balance_amount,
        coalesce(receivables.unapplied_cash_amount, 0) as unapplied_cash_amount,
        coalesce(receivables.overdue_amount, 0) as overdue_amount,
        {{ zero_where_fed(
            'known_feeds.has_customer_costs', 'cost_months.acquisition_cost_amount'
        ) }}
            as acquisition_cost_amount,
        {{ zero_where_fed('known_feeds.has_customer_costs', 'cost_months.service_cost_amount') }}
            as service_cost_amount,
        {{ zero_where_fed(
            'known_feeds.has_interactions', 'interaction_months.interaction_cost_amount'
        ) }}
            as interaction_cost_amount,
        {{ zero_where_fed(
            'known_feeds.has_complaints', 'compensation_months.compensation_amount'
        ) }}
            as compensation_amount,
        {{ zero_where_fed(
            'known_feeds.has_interactions', 'interaction_months.count_interactions'
        ) }}
            as count_interactions,
        {{ zero_where_fed('known_feeds.has_complaints', 'complaint_months.count_complaints') }}
            as count_complaints,
        {{ zero_where_fed(
            'known_feeds.has_survey_responses', 'survey_months.count_survey_responses'
        ) }}
            as count_survey_responses,
        survey_months.nps_score_mean,
        survey_months.csat_score_rate_mean,
        known_feeds.has_orders,
        known_feeds.has_customer_costs,
        known_feeds.has_interactions,
        known_feeds.has_complaints,
        contract_months.customer_id is not null as has_contract_order
    from customer_months
    cross join known_feeds
    left join order_months
        on
            customer_months.customer_id = order_months.customer_id
            and customer_months.month_on = order_months.month_on
    left join return_months
        on
            customer_months.customer_id = return_months.customer_id
            and customer_months.month_on = return_months.month_on
    left join receivables
        on
            customer_months.customer_id = receivables.customer_id
            and customer_months.month_on = receivables.month_on
    left join cash_months
        on
            customer_months.customer_id = cash_months.customer_id
            and customer_months.month_on = cash_months.month_on
    left join cost_months
        on
            customer_months.customer_id = cost_months.customer_id
            and customer_months.month_on = cost_months.month_on
    left join interaction_months
        on
            customer_months.customer_id = interaction_months.customer_id
            and customer_months.month_on = interaction_months.month_on
    left join complaint_months
        on
            customer_months.customer_id = complaint_months.customer_id
            and customer_months.month_on = complaint_months.month_on
    left join compensation_months
        on
            customer_months.customer_id = compensation_months.customer_id
            and customer_months.month_on = compensation_months.month_on
    left join survey_months
        on
            customer_months.customer_id = survey_months.customer_id
            and customer_months.month_on = survey_months.month_on
    left join contract_months
        on
            customer_months.customer_id = contract_months.customer_id
            and customer_months.month_on = contract_months.month_on
),

measured_months as (
    select
        *,
        -- of the feeds there are; null where there is none of them
        case
            when has_customer_costs or has_interactions or has_complaints
                then
                    coalesce(service_cost_amount, 0)
                    + coalesce(interaction_cost_amount, 0)
                    + coalesce(compensation_amount, 0)
        end as cost_to_serve_amount
    from joined_months
),

final as (
    select
        customer_id,
        month_on,
        {{ reporting_currency() }} as currency,
        cast(coalesce(count_orders, 0) as integer) as count_orders,
        cast(coalesce(count_order_lines, 0) as integer) as count_order_lines,
        cast(weight_tonnes as decimal(18, 4)) as weight_tonnes,
        cast(revenue_amount as decimal(18, 2)) as revenue_amount,
        cast(returns_amount as decimal(18, 2)) as returns_amount,
        cast(revenue_amount - returns_amount as decimal(18, 2))
            as net_revenue_amount,
        cast(discount_amount as decimal(18, 2)) as discount_amount,
        cast(cost_amount as decimal(18, 2)) as cost_amount,
        cast(margin_amount as decimal(18, 2)) as margin_amount,
        -- revenue of unknown cost leaves the margin unknown; without revenue there is none
        cast(
            case
                when margin_amount is not null
                    then margin_amount - returns_amount
                when revenue_amount = 0
                    then -returns_amount
            end as decimal(18, 2)
        ) as net_margin_amount,
        cast(invoiced_amount as decimal(18, 2)) as invoiced_amount,
        cast(cash_in_amount as decimal(18, 2)) as cash_in_amount,
        cast(open_balance_amount as decimal(18, 2)) as open_balance_amount,
        cast(unapplied_cash_amount as decimal(18, 2)) as unapplied_cash_amount,
        cast(overdue_amount as decimal(18, 2)) as overdue_amount,
        cast(acquisition_cost_amount as decimal(18, 2)) as acquisition_cost_amount,
        cast(service_cost_amount as decimal(18, 2)) as service_cost_amount,
        cast(interaction_cost_amount as decimal(18, 2)) as interaction_cost_amount,
        cast(compensation_amount as decimal(18, 2)) as compensation_amount,
        cast(cost_to_serve_amount as decimal(18, 2)) as cost_to_serve_amount,
        cast(count_interactions as integer) as count_interactions,
        cast(count_complaints as integer) as count_complaints,
        cast(count_survey_responses as integer) as count_survey_responses,
        csat_score_rate_mean,
        nps_score_mean,
        case when has_orders then has_contract_order end
            as has_active_contract
    from measured_months
)

select * from final
where {{ only_changed('customers', months_need_rebuild()) }}
