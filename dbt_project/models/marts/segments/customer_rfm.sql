with customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

rfm_segment_map as (
    select * from {{ ref('rfm_segment_map') }}
    where {{ is_in_force() }}
),

rfm_cut_points as (
    select * from {{ ref('rfm_cut_points') }}
    where {{ is_in_force() }}
),

-- the share of buyers that rank lower, ties counted half, so that equals share a score and
-- a book of one-time buyers scores in the middle, not at the top
ranked_buyers as (
    select
        customer_id,
        {{ share_ranking_lower('last_ordered_on') }} as recency_share,
        {{ share_ranking_lower('count_orders') }} as frequency_share,
        {{ share_ranking_lower('revenue_amount') }} as monetary_share
    from customer_totals
),

score_cuts as (
    select {{ cut_points_by_column(['recency', 'frequency', 'monetary']) }}
    from rfm_cut_points
),

scored_buyers as (
    select
        ranked_buyers.customer_id,
        {{ score_by_cuts('recency') }} as recency_score,
        {{ score_by_cuts('frequency') }} as frequency_score,
        {{ score_by_cuts('monetary') }} as monetary_score
    from ranked_buyers
    cross join score_cuts
),

final as (
    select
        scored_buyers.customer_id,
        {{ as_of_date() }} as as_of,
        cast(scored_buyers.recency_score as integer) as recency_score,
        cast(scored_buyers.frequency_score as integer) as frequency_score,
        cast(scored_buyers.monetary_score as integer) as monetary_score,
        concat(
            scored_buyers.recency_score,
            scored_buyers.frequency_score,
            scored_buyers.monetary_score
        ) as rfm_code,
        rfm_segment_map.segment as rfm_segment,
        rfm_segment_map.label_en as rfm_segment_label_en,
        rfm_segment_map.label_zh as rfm_segment_label_zh,
        rfm_segment_map.version as segment_map_version
    from scored_buyers
    inner join rfm_segment_map
        on
            scored_buyers.recency_score = rfm_segment_map.recency_score
            -- the mean of both scores, halves up
            and floor((scored_buyers.frequency_score + scored_buyers.monetary_score + 1) / 2)
            = rfm_segment_map.frequency_monetary_score
)

select * from final
