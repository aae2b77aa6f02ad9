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
        {{ parameters_by_column(['rhythm_gaps_at_least']) }}
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

order_ages as (
    select
        states.*,
        rhythm_parameters.state_on,
        {{ days_between('states.last_ordered_on', 'rhythm_parameters.state_on') }} as recency_days,
        {{ days_between('states.first_ordered_on', 'rhythm_parameters.state_on') }} as tenure_days,
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
        {{ stage_threshold('reactivated', 'previous_gap_p95_days') }} as reactivated_days,
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
            when gap_days > reactivated_days and silence_days <= active_days then 'reactivated'
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
        cast(tenure_days as integer) as tenure_days,
        gap_days,
        gap_median_days,
        gap_p95_days,
        previous_gap_p95_days,
        lifecycle_basis,
        case when lifecycle_basis = 'own_rhythm' then season_recency_days > gap_p95_days end
            as is_silent_by_rhythm,
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
        ) as threshold_days
    from staged_customers
)

select * from final
