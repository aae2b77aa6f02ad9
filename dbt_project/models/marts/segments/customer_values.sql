{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months() }}",
) }}
-- depends_on: {{ ref('int_months_changed') }}

with states as (
    select * from {{ ref('int_customer_states') }}
    where {{ where_month_changed() }}
),

-- a month that has begun would make everybody look smaller than a year ago: until it ends, growth
-- is that of the twelve months before it
last_whole_months as (
    select
        customer_id,
        {{ add_months('month_on', 1) }} as month_on,
        {{ add_days(month_start(as_of_date()), -1) }} as grown_until_on,
        revenue_12_months_amount as growth_revenue_amount,
        revenue_previous_12_months_amount as growth_previous_amount
    from {{ ref('int_customer_states') }}
    where
        month_on = {{ add_months(month_start(as_of_date()), -1) }}
        and {{ month_start(add_days(as_of_date(), 1)) }} = {{ month_start(as_of_date()) }}
),

value_tiers as (
    select * from {{ ref('value_tiers') }}
),

growth_classes as (
    select * from {{ ref('growth_classes') }}
),

state_months as (
    select distinct
        month_on,
        {{ state_on('month_on') }} as state_on
    from states
),

grown_states as (
    select
        states.*,
        coalesce(last_whole_months.grown_until_on, state_months.state_on) as grown_until_on,
        coalesce(last_whole_months.growth_revenue_amount, states.revenue_12_months_amount)
            as growth_revenue_amount,
        coalesce(last_whole_months.growth_previous_amount, states.revenue_previous_12_months_amount)
            as growth_previous_amount
    from states
    inner join state_months on states.month_on = state_months.month_on
    left join last_whole_months
        on
            states.customer_id = last_whole_months.customer_id
            and states.month_on = last_whole_months.month_on
),

-- who began within the months to compare with has fewer of them than it is compared for
known_histories as (
    select
        *,
        {{ month_start('first_ordered_on') }}
        <= {{ add_months(month_start('grown_until_on'), -23) }} as has_24_months
    from grown_states
),

compared_states as (
    select
        *,
        case
            when count_orders_to_date = 0 then 'no_order'
            when revenue_12_months_amount < 0 then 'net_returns'
            when revenue_12_months_amount = 0 then 'stopped'
            when not has_24_months then 'short_history'
            when growth_previous_amount <= 0 then 'returned'
            -- silent for the whole months, and back in the one that runs: that is no shrinking
            when growth_revenue_amount <= 0 then 'back'
            else 'compared'
        end as growth_class_reason_code
    from known_histories
),

-- one basis for the whole book: margin and revenue do not compare
month_bases as (
    select
        month_on,
        case when max(count_costed_months_to_date) > 0 then 'margin' else 'revenue' end
            as value_basis
    from states
    group by month_on
),

value_bases as (
    select
        compared_states.*,
        month_bases.value_basis
    from compared_states
    inner join month_bases on compared_states.month_on = month_bases.month_on
),

valued_customers as (
    select
        *,
        case
            when value_basis = 'revenue' then net_revenue_to_date_amount
            else
                net_margin_to_date_amount
                - coalesce(acquisition_cost_to_date_amount, 0)
                - coalesce(cost_to_serve_to_date_amount, 0)
        end as value_to_date_amount
    from value_bases
),

-- what brings nothing or a loss takes no part in the cumulation and is low
value_amounts as (
    select
        *,
        cast(greatest(coalesce(value_to_date_amount, 0), 0) as decimal(18, 2)) as value_amount,
        -- more returned than bought is no more than nothing bought
        case
            when has_24_months and growth_class_reason_code <> 'back'
                then
                    {{ mean_of(
                        'greatest(growth_revenue_amount, 0) - growth_previous_amount',
                        'greatest(growth_previous_amount, 0)',
                    ) }}
        end as revenue_growth_rate
    from valued_customers
),

cumulated_values as (
    select
        *,
        {{ amount_ahead('value_amount') }} as value_ahead,
        sum(value_amount) over (partition by month_on) as value_total
    from value_amounts
),

tier_cuts as (
    select
        state_months.month_on,
        state_months.state_on,
        cast(
            max(value_tiers.share_before_from)
            filter (where value_tiers.value_tier = 'medium') as decimal(5, 4)
        ) as medium_from,
        cast(
            max(value_tiers.share_before_from)
            filter (where value_tiers.value_tier = 'low') as decimal(5, 4)
        ) as low_from
    from state_months
    inner join value_tiers on {{ is_in_force_on('value_tiers', 'state_months.state_on') }}
    group by state_months.month_on, state_months.state_on
),

growth_cuts as (
    select
        state_months.month_on,
        max(growth_classes.growth_rate_from)
        filter (where growth_classes.growth_class = 'growing') as growing_from,
        max(growth_classes.growth_rate_from)
        filter (where growth_classes.growth_class = 'stable') as stable_from
    from state_months
    inner join growth_classes on {{ is_in_force_on('growth_classes', 'state_months.state_on') }}
    group by state_months.month_on
),

final as (
    select
        cumulated_values.customer_id,
        cumulated_values.month_on,
        tier_cuts.state_on,
        {{ reporting_currency() }} as currency,
        cumulated_values.value_basis,
        cast(cumulated_values.value_to_date_amount as decimal(18, 2)) as value_to_date_amount,
        {{ class_by_share_ahead(
            'value', 'high', {'medium': 'medium_from', 'low': 'low_from'}, 'low'
        ) }} as value_tier,
        case
            when cumulated_values.value_to_date_amount is null then 'unknown'
            when
                cumulated_values.value_to_date_amount < 0
                and cumulated_values.value_basis = 'revenue'
                then 'net_returns'
            when cumulated_values.value_to_date_amount < 0 then 'loss'
            when cumulated_values.value_to_date_amount = 0 then 'nothing'
            else cumulated_values.value_basis
        end as value_tier_reason_code,
        {{ mean_of('cumulated_values.value_ahead', 'cumulated_values.value_total') }}
            as share_ahead,
        cumulated_values.revenue_12_months_amount,
        cumulated_values.revenue_previous_12_months_amount,
        cumulated_values.grown_until_on,
        cumulated_values.growth_revenue_amount,
        cumulated_values.growth_previous_amount,
        cumulated_values.revenue_growth_rate,
        case
            when cumulated_values.growth_class_reason_code = 'no_order' then null
            when cumulated_values.growth_class_reason_code in ('stopped', 'net_returns')
                then 'stopped'
            when cumulated_values.growth_class_reason_code in ('short_history', 'returned', 'back')
                then 'new'
            when cumulated_values.revenue_growth_rate >= growth_cuts.growing_from then 'growing'
            when cumulated_values.revenue_growth_rate >= growth_cuts.stable_from then 'stable'
            else 'shrinking'
        end as growth_class,
        cumulated_values.growth_class_reason_code
    from cumulated_values
    inner join tier_cuts on cumulated_values.month_on = tier_cuts.month_on
    inner join growth_cuts on cumulated_values.month_on = growth_cuts.month_on
)

select * from final
where {{ only_changed('months') }}
