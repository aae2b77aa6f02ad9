{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months() }}",
) }}
-- depends_on: {{ ref('int_months_changed') }}

with states as (
    select * from {{ ref('int_customer_states') }}
    where count_orders_to_date > 0 and {{ where_month_changed() }}
),

rfm_segment_map as (
    select * from {{ ref('rfm_segment_map') }}
),

rfm_cut_points as (
    select * from {{ ref('rfm_cut_points') }}
),

state_months as (
    select distinct
        month_on,
        {{ state_on('month_on') }} as state_on
    from states
),

-- the share of buyers that rank lower, ties counted half, so that equals share a score and
-- a book of one-time buyers scores in the middle, not at the top
ranked_days as (
    select
        month_on,
        last_ordered_on,
        {{ share_of_value_ranking_lower('last_ordered_on') }} as recency_share
    from states
    group by month_on, last_ordered_on
),

ranked_counts as (
    select
        month_on,
        count_orders_to_date,
        {{ share_of_value_ranking_lower('count_orders_to_date') }} as frequency_share
    from states
    group by month_on, count_orders_to_date
),

ranked_buyers as (
    select
        states.customer_id,
        states.month_on,
        ranked_days.recency_share,
        ranked_counts.frequency_share,
        {{ share_ranking_lower('states.net_revenue_to_date_amount', 'states.month_on') }}
            as monetary_share
    from states
    inner join ranked_days
        on
            states.month_on = ranked_days.month_on
            and states.last_ordered_on = ranked_days.last_ordered_on
    inner join ranked_counts
        on
            states.month_on = ranked_counts.month_on
            and states.count_orders_to_date = ranked_counts.count_orders_to_date
),

score_cuts as (
    select
        state_months.month_on,
        state_months.state_on,
        {{ cut_points_by_column(['recency', 'frequency', 'monetary']) }}
    from state_months
    inner join rfm_cut_points
        on {{ is_in_force_on('rfm_cut_points', 'state_months.state_on') }}
    group by state_months.month_on, state_months.state_on
),

scored_buyers as (
    select
        ranked_buyers.customer_id,
        ranked_buyers.month_on,
        score_cuts.state_on,
        {{ score_by_cuts('recency') }} as recency_score,
        {{ score_by_cuts('frequency') }} as frequency_score,
        {{ score_by_cuts('monetary') }} as monetary_score
    from ranked_buyers
    inner join score_cuts on ranked_buyers.month_on = score_cuts.month_on
),

final as (
    select
        scored_buyers.customer_id,
        scored_buyers.month_on,
        scored_buyers.state_on,
        cast(scored_buyers.recency_score as integer) as recency_score,
        cast(scored_buyers.frequency_score as integer) as frequency_score,
        cast(scored_buyers.monetary_score as integer) as monetary_score,
        concat(
            scored_buyers.recency_score,
            scored_buyers.frequency_score,
            scored_buyers.monetary_score
        ) as rfm_code,
        rfm_segment_map.segment as rfm_segment,
        rfm_segment_map.version as segment_map_version
    from scored_buyers
    inner join rfm_segment_map
        on
            scored_buyers.recency_score = rfm_segment_map.recency_score
            -- the mean of both scores, halves up
            and floor((scored_buyers.frequency_score + scored_buyers.monetary_score + 1) / 2)
            = rfm_segment_map.frequency_monetary_score
            and {{ is_in_force_on('rfm_segment_map', 'scored_buyers.state_on') }}
)

select * from final
where {{ only_changed('months') }}
