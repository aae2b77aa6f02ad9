with customers as (
    select * from {{ ref('dim_customers') }}
),

segments as (
    select * from {{ ref('customer_segments') }}
),

feeds as (
    select
        max(case when feed = 'opportunities' and is_configured then 1 else 0 end) = 1
            as has_opportunities,
        max(case when feed = 'payments' and is_configured then 1 else 0 end) = 1 as has_payments
    from {{ ref('stg_landing__feeds') }}
),

bounds as (
    select
        cast(max(bound_value) filter (where bound = 'overdue_whole_days') as integer)
            as overdue_whole_days
    from {{ ref('strategic_bounds') }}
    where {{ is_in_force() }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
    where month_on >= {{ start_of_last_12_months() }}
),

orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled and ordered_on >= {{ start_of_last_12_months() }}
),

survey_answers as (
    select * from {{ ref('fct_survey_responses') }}
    where
        measure = 'csat'
        and score_rate is not null
        and answered_on >= {{ start_of_last_12_months() }}
),

opportunities as (
    select * from {{ ref('fct_opportunities') }}
    where closed_on is null and is_won is null
),

open_documents as (
    select * from {{ ref('open_documents') }}
),

invoiced_customers as (
    select distinct customer_id from {{ ref('fct_invoices') }}
),

month_totals as (
    select
        customer_id,
        count(*) filter (where count_orders > 0) as count_months,
        -- a feed's columns are null on every row or on none
        sum(cost_to_serve_amount) as cost_to_serve_amount
    from customer_months
    group by customer_id
),

-- also for a customer without a month
cost_feeds as (
    select count(cost_to_serve_amount) > 0 as has_costs_to_serve
    from customer_months
),

order_days as (
    select
        customer_id,
        count(*) as count_orders,
        count(sale_type) as count_orders_typed,
        count(distinct ordered_on) as count_order_days,
        sum(revenue_amount) as ordered_amount,
        {{ sum_amount("case when sale_type = 'contract' then revenue_amount end") }}
            as contract_amount
    from orders
    group by customer_id
),

satisfaction as (
    select
        customer_id,
        count(distinct response_id) as count_survey_responses,
        {{ mean_of('sum(score_rate)', 'count(*)') }} as satisfaction_measure
    from survey_answers
    group by customer_id
),

pipelines as (
    select
        customer_id,
        {{ sum_amount('round(opportunity_amount * win_probability, 2)') }} as pipeline_amount
    from opportunities
    group by customer_id
),

overdue_days as (
    select
        open_documents.customer_id,
        -- whole numbers of currency days: what is wholly overdue is exactly 0
        sum(open_documents.open_amount * bounds.overdue_whole_days) as open_day_amount,
        sum(
            open_documents.open_amount
            * greatest(bounds.overdue_whole_days - open_documents.overdue_days, 0)
        ) as good_day_amount
    from open_documents
    cross join bounds
    group by open_documents.customer_id
),

group_worths as (
    select
        group_key,
        count(*) as count_group_customers,
        sum(net_worth_amount) as group_net_worth_amount
    from customers
    group by group_key
),

known_figures as (
    select
        customers.customer_id,
        customers.group_key,
        segments.industry,
        segments.scale_class,
        segments.recency_days,
        segments.revenue_12_months_amount,
        segments.margin_12_months_amount,
        segments.revenue_previous_12_months_amount,
        case
            when cost_feeds.has_costs_to_serve
                then coalesce(month_totals.cost_to_serve_amount, 0)
        end as cost_to_serve_amount,
        case
            when
                order_days.count_orders_typed = order_days.count_orders
                and order_days.ordered_amount > 0
                then cast(order_days.contract_amount as double) / order_days.ordered_amount
        end as dependence_measure,
        cast(coalesce(order_days.count_order_days, 0) as double) as frequency_measure,
        cast(coalesce(month_totals.count_months, 0) as double) / 12 as loyalty_measure,
        case
            when feeds.has_opportunities then coalesce(pipelines.pipeline_amount, 0)
        end as pipeline_amount,
        customers.first_ordered_on < {{ add_months(start_of_previous_12_months(), 1) }}
            as bought_through_both_years,
        case
            when not feeds.has_payments or invoiced_customers.customer_id is null then null
            else coalesce(
                cast(overdue_days.good_day_amount as double) / overdue_days.open_day_amount, 1
            )
        end as credit_measure,
        group_worths.count_group_customers,
        group_worths.group_net_worth_amount,
        satisfaction.satisfaction_measure,
        coalesce(satisfaction.count_survey_responses, 0) as count_survey_responses,
        {{ days_between(
            'least(customers.onboarded_on, customers.first_ordered_on)', as_of_date()
        ) }} as history_days
    from customers
    cross join feeds
    cross join cost_feeds
    inner join segments on customers.customer_id = segments.customer_id
    inner join group_worths on customers.group_key = group_worths.group_key
    left join month_totals on customers.customer_id = month_totals.customer_id
    left join order_days on customers.customer_id = order_days.customer_id
    left join pipelines on customers.customer_id = pipelines.customer_id
    left join invoiced_customers on customers.customer_id = invoiced_customers.customer_id
    left join overdue_days on customers.customer_id = overdue_days.customer_id
    left join satisfaction on customers.customer_id = satisfaction.customer_id
),

grown_figures as (
    select
        *,
        case
            when bought_through_both_years
                then revenue_12_months_amount - revenue_previous_12_months_amount
        end as growth_amount
    from known_figures
),

final as (
    select
        customer_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        group_key,
        industry,
        scale_class,
        cast(recency_days as integer) as recency_days,
        cast(revenue_12_months_amount as decimal(18, 2)) as revenue_12_months_amount,
        cast(margin_12_months_amount as decimal(18, 2)) as margin_12_months_amount,
        cast(cost_to_serve_amount as decimal(18, 2)) as cost_to_serve_12_months_amount,
        cast(margin_12_months_amount - coalesce(cost_to_serve_amount, 0) as decimal(18, 2))
            as income_12_months_amount,
        case
            when revenue_12_months_amount > 0
                then
                    cast(margin_12_months_amount - coalesce(cost_to_serve_amount, 0) as double)
                    / revenue_12_months_amount
        end as income_rate,
        {{ percentile_of_known('revenue_12_months_amount') }} as amount_percentile,
        cast(growth_amount as decimal(18, 2)) as growth_amount,
        cast(pipeline_amount as decimal(18, 2)) as pipeline_amount,
        cast(group_net_worth_amount as decimal(18, 2)) as group_net_worth_amount,
        cast(count_group_customers as integer) as count_group_customers,
        cast(count_survey_responses as integer) as count_survey_responses,
        cast(revenue_12_months_amount as double) as amount_measure,
        cast(credit_measure as double) as credit_measure,
        cast(
            coalesce(pipeline_amount + growth_amount, pipeline_amount, growth_amount) as double
        ) as potential_measure,
        loyalty_measure,
        dependence_measure,
        cast(group_net_worth_amount as double) as influence_measure,
        satisfaction_measure,
        frequency_measure,
        cast(history_days as double) as history_measure
    from grown_figures
)

select * from final
