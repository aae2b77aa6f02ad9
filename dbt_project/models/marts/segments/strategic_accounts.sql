{%- set plus = '\n        + ' -%}
{%- set of_criterion = "filter (where criterion = ':criterion')" -%}
{%- set percentile = percentile_of_known(':criterion_measure') -%}
{%- set shown_score = 'cast(cast(staged_customers.score as decimal(9, 3)) as '
    ~ dbt.type_string() ~ ')' -%}
{%- set numbers = {
    'rank': 'staged_customers.score_rank',
    'count_assessed': 'staged_customers.count_assessed',
    'count_cap': 'staged_customers.list_length',
    'score': shown_score,
    'score_floor': 'cast(staged_customers.score_floor as decimal(9, 2))',
    'coverage': 'cast(round(100 * staged_customers.coverage_rate, 0) as integer)',
    'coverage_floor': 'cast(round(100 * staged_customers.coverage_floor, 0) as integer)',
    'count_rules': 'staged_customers.count_rules',
    'count_rules_failed': 'staged_customers.count_rules - staged_customers.count_rules_passed',
} -%}
{%- set numbers_en = dict(numbers, rules='staged_customers.screening_reason_en') -%}
{%- set numbers_zh = dict(numbers, rules='staged_customers.screening_reason_zh') -%}

with measures as (
    select * from {{ ref('strategic_measures') }}
),

screenings as (
    select * from {{ ref('strategic_screenings') }}
),

account_values as (
    select * from {{ ref('strategic_values') }}
),

weights as (
    select * from {{ ref('strategic_weights') }}
),

list_rules as (
    select * from {{ ref('strategic_list') }}
    where {{ is_in_force() }}
),

stages as (
    select * from {{ ref('strategic_stages') }}
    where {{ is_in_force() }}
),

weights_by_column as (
    select
        {{ each_criterion("max(direction) " ~ of_criterion ~ " as :criterion_direction") }},
        {{ each_criterion("max(ahp_weight) " ~ of_criterion ~ " as :criterion_ahp") }},
        {{ each_criterion("max(entropy_weight) " ~ of_criterion ~ " as :criterion_entropy") }}
    from weights
),

-- only who passed the screening is assessed, and ranked among those who passed
assessed_customers as (
    select measures.*
    from measures
    inner join screenings on measures.customer_id = screenings.customer_id
    where screenings.is_screened_in
),

percentiles as (
    select
        customer_id,
        {{ each_criterion(percentile ~ ' as :criterion_percentile') }}
    from assessed_customers
),

-- a criterion that is not in force has no weight and no score; rounded, so that equals are equal
scored_criteria as (
    select
        percentiles.customer_id,
        weights_by_column.*,
        {{ each_criterion(
            "case weights_by_column.:criterion_direction
            when 'higher' then round(percentiles.:criterion_percentile, 12)
            when 'lower' then round(1 - percentiles.:criterion_percentile, 12)
        end as :criterion_score"
        ) }}
    from percentiles
    cross join weights_by_column
),

-- the weights of the unknown are shared out among the known
weighted_customers as (
    select
        *,
        {{ each_criterion('coalesce(:criterion_score * :criterion_ahp, 0)', plus) }} as ahp_points,
        {{ each_criterion('coalesce(:criterion_score * :criterion_entropy, 0)', plus) }}
            as entropy_points,
        {{ each_criterion('coalesce(:criterion_score * 0 + :criterion_ahp, 0)', plus) }}
            as ahp_weight_known,
        {{ each_criterion('coalesce(:criterion_score * 0 + :criterion_entropy, 0)', plus) }}
            as entropy_weight_known
    from scored_criteria
),

scored_customers as (
    select
        *,
        round(ahp_points / nullif(ahp_weight_known, 0), 12) as score,
        round(entropy_points / nullif(entropy_weight_known, 0), 12) as score_by_entropy,
        round(ahp_weight_known, 9) as coverage_rate
    from weighted_customers
),

assessed as (
    select count(*) as count_assessed from assessed_customers
),

funnel as (
    select
        list_rules.*,
        assessed.count_assessed,
        least(
            cast(ceil(list_rules.share_cap * assessed.count_assessed) as integer),
            list_rules.count_cap
        ) as list_length
    from list_rules
    cross join assessed
),

ranked_customers as (
    select
        scored_customers.*,
        -- who is known too little ranks behind the others
        row_number() over (
            order by
                scored_customers.coverage_rate >= funnel.coverage_floor desc,
                scored_customers.score desc nulls last,
                scored_customers.customer_id asc
        ) as score_rank
    from scored_customers
    cross join funnel
),

staged_customers as (
    select
        measures.*,
        screenings.count_rules,
        screenings.count_rules_passed,
        screenings.count_rules_unknown,
        screenings.failed_rules,
        screenings.screening_reason_en,
        screenings.screening_reason_zh,
        {{ each_criterion('ranked_customers.:criterion_score') }},
        ranked_customers.score,
        ranked_customers.score_by_entropy,
        ranked_customers.coverage_rate,
        ranked_customers.score_rank,
        funnel.score_floor,
        funnel.coverage_floor,
        funnel.count_assessed,
        funnel.list_length,
        case
            when not screenings.is_screened_in then 'screened_out'
            when coalesce(ranked_customers.coverage_rate, 0) < funnel.coverage_floor
                then 'low_coverage'
            when ranked_customers.score < funnel.score_floor then 'low_score'
            when ranked_customers.score_rank > funnel.list_length then 'beyond_cap'
            else 'listed'
        end as stage_reason
    from measures
    cross join funnel
    inner join screenings on measures.customer_id = screenings.customer_id
    left join ranked_customers on measures.customer_id = ranked_customers.customer_id
),

final as (
    select
        staged_customers.customer_id,
        {{ as_of_date() }} as as_of,
        staged_customers.currency,
        -- the funnel
        stages.stage_reached,
        cast(staged_customers.score_rank as integer) as score_rank,
        staged_customers.score,
        staged_customers.score_by_entropy,
        staged_customers.coverage_rate,
        cast(staged_customers.count_rules as integer) as count_rules,
        cast(staged_customers.count_rules_passed as integer) as count_rules_passed,
        cast(staged_customers.count_rules_unknown as integer) as count_rules_unknown,
        staged_customers.failed_rules,
        staged_customers.screening_reason_en,
        staged_customers.screening_reason_zh,
        staged_customers.stage_reason,
        stages.label_en as stage_label_en,
        stages.label_zh as stage_label_zh,
        {{ fill_in('stages.sentence_en', numbers_en) }} as list_reason_en,
        {{ fill_in('stages.sentence_zh', numbers_zh) }} as list_reason_zh,
        -- the criteria: as measured, scored 0 to 1 among the assessed, whether known
        {{ each_criterion(
            'staged_customers.:criterion_measure,
        staged_customers.:criterion_score,
        staged_customers.:criterion_measure is not null as is_:criterion_known'
        ) }},
        staged_customers.count_survey_responses,
        -- what potential is made of
        staged_customers.growth_amount,
        staged_customers.growth_basis,
        staged_customers.growth_reason_en,
        staged_customers.growth_reason_zh,
        staged_customers.pipeline_amount,
        staged_customers.pipeline_stale_amount,
        -- worth, three ways
        account_values.value_by_cost_amount,
        account_values.value_by_income_amount,
        account_values.value_by_market_amount,
        account_values.market_basis,
        account_values.count_peers,
        -- concentration
        staged_customers.group_key,
        account_values.share_of_revenue,
        account_values.share_of_margin,
        account_values.share_of_receivables,
        account_values.group_share_of_revenue,
        account_values.group_share_of_receivables,
        account_values.hhi_contribution,
        account_values.is_concentration_risk
    from staged_customers
    inner join account_values on staged_customers.customer_id = account_values.customer_id
    inner join stages on staged_customers.stage_reason = stages.stage_reason
)

select * from final
