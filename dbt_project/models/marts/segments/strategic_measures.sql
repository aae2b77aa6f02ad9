{%- set due_on = 'coalesce(opportunities.expected_on, opportunities.opened_on)' -%}
{%- set growth_numbers = {
    'currency': reporting_currency(),
    'until': 'known_figures.grown_until_on',
    'count_months': 'known_figures.count_order_months_before',
    'order_months': 'known_figures.growth_order_months',
    'first_months': 'known_figures.growth_first_months',
    'growth': as_money('known_figures.growth_if_compared_amount'),
} -%}

with customers as (
    select * from {{ ref('dim_customers') }}
),

segments as (
    select * from {{ ref('customer_segments') }}
),

customer_values as (
    select * from {{ rows_of_this_month('customer_values') }}
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
            as overdue_whole_days,
        cast(max(bound_value) filter (where bound = 'opportunity_late_days') as integer)
            as opportunity_late_days,
        cast(max(bound_value) filter (where bound = 'growth_order_months') as integer)
            as growth_order_months,
        cast(max(bound_value) filter (where bound = 'growth_first_months') as integer)
            as growth_first_months
    from {{ ref('strategic_bounds') }}
    where {{ is_in_force() }}
),

growth_bases as (
    select * from {{ ref('strategic_growth_bases') }}
    where {{ is_in_force() }}
),

customer_months as (
    select
        *,
        month_on >= {{ start_of_last_12_months() }} as is_of_last_12,
        -- those that are over, and the 12 before them
        month_on >= {{ start_of_12_whole_months() }} and month_on < {{ start_of_month_not_over() }}
            as is_of_12_whole,
        month_on < {{ start_of_12_whole_months() }} as is_of_12_before
    from {{ ref('fct_customer_months') }}
    where month_on >= {{ start_of_12_whole_months(years_before=1) }}
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

credit_scores as (
    select
        customer_id,
        is_in_default
    from {{ ref('credit_scores') }}
),

invoiced_customers as (
    select distinct customer_id from {{ ref('fct_invoices') }}
),

month_totals as (
    select
        customer_id,
        count(*) filter (where count_orders > 0 and is_of_12_whole) as count_order_months,
        count(*) filter (where count_orders > 0 and is_of_12_before) as count_order_months_before,
        min(month_on) filter (where count_orders > 0 and is_of_12_before)
            as first_order_month_before,
        -- a feed's columns are null on every row or on none
        sum(cost_to_serve_amount) filter (where is_of_last_12) as cost_to_serve_amount
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

weighted_opportunities as (
    select
        opportunities.customer_id,
        {{ amount_times('opportunities.opportunity_amount', 'opportunities.win_probability') }}
            as weighted_amount,
        -- nobody closed it, but so late it is dead
        {{ days_between(due_on, as_of_date()) }} > bounds.opportunity_late_days as is_stale
    from opportunities
    cross join bounds
),

pipelines as (
    select
        customer_id,
        {{ sum_amount('case when not is_stale then weighted_amount end') }} as pipeline_amount,
        {{ sum_amount('case when is_stale then weighted_amount end') }} as pipeline_stale_amount
    from weighted_opportunities
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
        {{ add_days(start_of_month_not_over(), -1) }} as grown_until_on,
        customer_values.growth_revenue_amount - customer_values.growth_previous_amount
            as growth_if_compared_amount,
        coalesce(month_totals.count_order_months_before, 0) as count_order_months_before,
        {{ zero_where_fed('cost_feeds.has_costs_to_serve', 'month_totals.cost_to_serve_amount') }}
            as cost_to_serve_amount,
        case
            when
                order_days.count_orders_typed = order_days.count_orders
                and order_days.ordered_amount > 0
                then cast(order_days.contract_amount as double) / order_days.ordered_amount
        end as dependence_measure,
        cast(coalesce(order_days.count_order_days, 0) as double) as frequency_measure,
        cast(coalesce(month_totals.count_order_months, 0) as double) / 12 as loyalty_measure,
        {{ zero_where_fed('feeds.has_opportunities', 'pipelines.pipeline_amount') }}
            as pipeline_amount,
        {{ zero_where_fed('feeds.has_opportunities', 'pipelines.pipeline_stale_amount') }}
            as pipeline_stale_amount,
        case
            when customers.first_ordered_on is null then 'no_order'
            when
                customers.first_ordered_on
                >= {{ add_months(start_of_12_whole_months(years_before=1), 1) }}
                then 'too_new'
            when
                coalesce(month_totals.count_order_months_before, 0) < bounds.growth_order_months
                then 'few_months'
            when
                month_totals.first_order_month_before >= {{ add_months(
                    start_of_12_whole_months(years_before=1), 'bounds.growth_first_months'
                ) }}
                then 'late_start'
            else 'compared'
        end as growth_basis,
        bounds.growth_order_months,
        bounds.growth_first_months,
        case
            when not feeds.has_payments or invoiced_customers.customer_id is null then null
            else coalesce(
                cast(overdue_days.good_day_amount as double) / overdue_days.open_day_amount, 1
            )
        end as credit_measure,
        case
            when not feeds.has_payments then null
            when credit_scores.is_in_default then 1
            else 0
        end as default_measure,
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
    cross join bounds
    inner join segments on customers.customer_id = segments.customer_id
    inner join customer_values on customers.customer_id = customer_values.customer_id
    inner join group_worths on customers.group_key = group_worths.group_key
    left join month_totals on customers.customer_id = month_totals.customer_id
    left join order_days on customers.customer_id = order_days.customer_id
    left join pipelines on customers.customer_id = pipelines.customer_id
    left join invoiced_customers on customers.customer_id = invoiced_customers.customer_id
    left join overdue_days on customers.customer_id = overdue_days.customer_id
    left join credit_scores on customers.customer_id = credit_scores.customer_id
    left join satisfaction on customers.customer_id = satisfaction.customer_id
),

grown_figures as (
    select
        known_figures.*,
        case
            when known_figures.growth_basis = 'compared'
                then known_figures.growth_if_compared_amount
        end as growth_amount,
        {{ fill_in('growth_bases.sentence_en', growth_numbers) }} as growth_reason_en,
        {{ fill_in('growth_bases.sentence_zh', growth_numbers) }} as growth_reason_zh
    from known_figures
    left join growth_bases on known_figures.growth_basis = growth_bases.growth_basis
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
        growth_basis,
        growth_reason_en,
        growth_reason_zh,
        grown_until_on,
        cast(count_order_months_before as integer) as count_order_months_before,
        cast(pipeline_amount as decimal(18, 2)) as pipeline_amount,
        cast(pipeline_stale_amount as decimal(18, 2)) as pipeline_stale_amount,
        cast(group_net_worth_amount as decimal(18, 2)) as group_net_worth_amount,
        cast(count_group_customers as integer) as count_group_customers,
        cast(count_survey_responses as integer) as count_survey_responses,
        cast(default_measure as integer) as default_measure,
        cast(revenue_12_months_amount as double) as amount_measure,
        cast(credit_measure as double) as credit_measure,
        -- an empty pipeline alone is no knowledge of what it may yet buy
        cast(
            coalesce(
                pipeline_amount + growth_amount, growth_amount, nullif(pipeline_amount, 0)
            ) as double
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
