{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months() }}",
) }}
-- depends_on: {{ ref('int_months_changed') }}

{%- set stages_with_bounds = ['new', 'reactivated', 'active', 'slowing', 'at_risk', 'dormant'] %}

with states as (
    select * from {{ ref('int_customer_states') }}
    where {{ where_month_changed() }}
),

season_days as (
    select * from {{ ref('int_season_days') }}
),

lifecycle_rules as (
    select * from {{ ref('lifecycle_rules') }}
),

-- the gap that ended on the first order day of each month, of any month: one that no rule calls a
-- return is left out at once
month_returns as (
    select
        customer_id,
        returned_on,
        return_gap_days,
        return_count_gaps,
        return_gap_p95_days
    from {{ ref('int_customer_states') }}
    where
        month_on = last_order_month
        and return_gap_days > (
            select min(least(days_at_least, fallback_days)) from lifecycle_rules
            where stage = 'reactivated'
        )
),

segment_parameters as (
    select * from {{ ref('segment_parameters') }}
),

state_months as (
    select distinct
        month_on,
        {{ state_on('month_on') }} as state_on
    from states
),

rhythm_parameters as (
    select
        state_months.month_on,
        state_months.state_on,
        {{ parameters_by_column(['rhythm_gaps_at_least', 'returned_days_at_most']) }}
    from state_months
    inner join segment_parameters
        on {{ is_in_force_on('segment_parameters', 'state_months.state_on') }}
    group by state_months.month_on, state_months.state_on
),

stage_bounds as (
    select
        {%- for stage in stages_with_bounds %}
            {%- for bound, column in {
                'multiple': 'p95_multiple',
                'at_least': 'days_at_least',
                'at_most': 'days_at_most',
                'fallback': 'fallback_days',
            }.items() %}
                max(lifecycle_rules.{{ column }})
                filter (where lifecycle_rules.stage = '{{ stage }}')
                    as {{ stage }}_{{ bound }},
            {%- endfor %}
        {%- endfor %}
        state_months.month_on
    from state_months
    inner join lifecycle_rules
        on {{ is_in_force_on('lifecycle_rules', 'state_months.state_on') }}
    group by state_months.month_on
),

recent_returns as (
    select
        states.customer_id,
        states.month_on,
        month_returns.returned_on,
        month_returns.return_gap_days,
        month_returns.return_gap_p95_days,
        case
            when month_returns.return_count_gaps >= rhythm_parameters.rhythm_gaps_at_least
                then 'own_rhythm'
            else 'fallback'
        end as lifecycle_basis
    from states
    inner join rhythm_parameters on states.month_on = rhythm_parameters.month_on
    inner join month_returns
        on
            states.customer_id = month_returns.customer_id
            and rhythm_parameters.state_on >= month_returns.returned_on
            and {{ days_between('month_returns.returned_on', 'rhythm_parameters.state_on') }}
            <= rhythm_parameters.returned_days_at_most
),

measured_returns as (
    select
        recent_returns.*,
        {{ stage_threshold('reactivated', 'return_gap_p95_days') }} as reactivated_days
    from recent_returns
    inner join stage_bounds on recent_returns.month_on = stage_bounds.month_on
),

-- the last return, whatever was ordered since
last_returns as (
    select * from measured_returns
    where return_gap_days > reactivated_days
    qualify row_number() over (
        partition by customer_id, month_on order by returned_on desc
    ) = 1
),

order_ages as (
    select
        states.*,
        last_returns.returned_on as last_returned_on,
        last_returns.return_gap_days as last_return_gap_days,
        last_returns.reactivated_days,
        last_returns.lifecycle_basis as return_basis,
        case
            when last_returns.lifecycle_basis = 'own_rhythm' then last_returns.return_gap_p95_days
        end as last_return_gap_p95_days,
        rhythm_parameters.state_on,
        {{ days_between('states.last_ordered_on', 'rhythm_parameters.state_on') }} as recency_days,
        {{ days_between('states.customer_since_on', 'rhythm_parameters.state_on') }} as tenure_days,
        -- the days of the last order's month that lie after it, and all months since
        cast(
            season_days.season_days
            - season_days.season_index * extract(day from states.last_ordered_on)
            as decimal(9, 1)
        ) as season_recency_days,
        season_days.season_basis,
        case
            when states.count_gaps >= rhythm_parameters.rhythm_gaps_at_least then 'own_rhythm'
            else 'fallback'
        end as lifecycle_basis
    from states
    inner join rhythm_parameters on states.month_on = rhythm_parameters.month_on
    left join last_returns
        on states.customer_id = last_returns.customer_id and states.month_on = last_returns.month_on
    left join season_days
        on
            coalesce(states.industry, '') = season_days.industry
            and states.month_on = season_days.month_on
            and states.last_order_month = season_days.since_month_on
),

stage_thresholds as (
    select
        order_ages.*,
        case
            when order_ages.lifecycle_basis = 'own_rhythm' then order_ages.season_recency_days
            else order_ages.recency_days
        end as silence_days,
        stage_bounds.new_fallback as new_days,
        {{ stage_threshold('active', 'gap_p95_days') }} as active_days,
        {{ stage_threshold('slowing', 'gap_p95_days') }} as slowing_days,
        {{ stage_threshold('at_risk', 'gap_p95_days') }} as at_risk_days,
        {{ stage_threshold('dormant', 'gap_p95_days') }} as dormant_days
    from order_ages
    inner join stage_bounds on order_ages.month_on = stage_bounds.month_on
),

staged_customers as (
    select
        *,
        case
            when recency_days is null then 'potential'
            when tenure_days <= new_days then 'new'
            when last_returned_on is not null and silence_days <= active_days then 'reactivated'
            when silence_days <= active_days then 'active'
            when silence_days <= slowing_days then 'slowing'
            when silence_days <= at_risk_days then 'at_risk'
            when silence_days <= dormant_days then 'dormant'
            else 'lost'
        end as lifecycle
    from stage_thresholds
),

final as (
    select
        customer_id,
        month_on,
        state_on,
        cast(recency_days as integer) as recency_days,
        cast(season_recency_days as decimal(9, 1)) as season_recency_days,
        season_basis,
        customer_since_on,
        cast(tenure_days as integer) as tenure_days,
        gap_days,
        gap_median_days,
        gap_p95_days,
        last_returned_on as returned_on,
        last_return_gap_days as return_gap_days,
        last_return_gap_p95_days as return_gap_p95_days,
        lifecycle_basis,
        -- in tenths of a day, as the stages: 28 days are not more than 27.95 that read 28
        case
            when lifecycle_basis = 'own_rhythm'
                then season_recency_days > cast(gap_p95_days as decimal(9, 1))
        end as is_silent_by_rhythm,
        lifecycle,
        cast(
            case lifecycle
                when 'new' then new_days
                when 'reactivated' then reactivated_days
                when 'active' then active_days
                when 'slowing' then slowing_days
                when 'at_risk' then at_risk_days
                when 'dormant' then dormant_days
                when 'lost' then dormant_days
            end as decimal(9, 1)
        ) as threshold_days,
        case lifecycle
            when 'potential' then null
            when 'new' then 'fallback'
            when 'reactivated' then return_basis
            else lifecycle_basis
        end as threshold_basis
    from staged_customers
)

select * from final
where {{ only_changed('months') }}
