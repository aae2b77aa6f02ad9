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
        {%- for criterion in strategic_criteria() %}
        max(ahp_weight) filter (where criterion = '{{ criterion }}') as {{ criterion }}_ahp,
        max(entropy_weight) filter (where criterion = '{{ criterion }}') as {{ criterion }}_entropy,
        max(direction) filter (where criterion = '{{ criterion }}') as {{ criterion }}_direction
        {{- ',' if not loop.last }}
        {%- endfor %}
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
        {%- for criterion in strategic_criteria() %}
        {{ percentile_of_known(criterion ~ '_measure') }} as {{ criterion }}_percentile
        {{- ',' if not loop.last }}
        {%- endfor %}
    from assessed_customers
),

-- a criterion that is not in force has no weight and no score
scored_criteria as (
    select
        percentiles.customer_id,
        {%- for criterion in strategic_criteria() %}
        weights_by_column.{{ criterion }}_ahp,
        weights_by_column.{{ criterion }}_entropy,
        case weights_by_column.{{ criterion }}_direction
            when 'higher' then percentiles.{{ criterion }}_percentile
            when 'lower' then 1 - percentiles.{{ criterion }}_percentile
        end as {{ criterion }}_score
        {{- ',' if not loop.last }}
        {%- endfor %}
    from percentiles
    cross join weights_by_column
),

weighted_customers as (
    select
        *,
        {%- for weight in ['ahp', 'entropy'] %}
        {% for criterion in strategic_criteria() -%}
        {{ '+ ' if not loop.first }}coalesce({{ criterion }}_score * {{ criterion }}_{{ weight }}, 0)
        {% endfor %}as {{ weight }}_points,
        {% for criterion in strategic_criteria() -%}
        {{ '+ ' if not loop.first -}}
        case when {{ criterion }}_score is null then 0 else coalesce({{ criterion }}_{{ weight }}, 0) end
        {% endfor %}as {{ weight }}_known_weight
        {{- ',' if not loop.last }}
        {%- endfor %}
    from scored_criteria
),

scored_customers as (
    select
        *,
        -- the weights of the unknown are shared out among the known
        ahp_points / nullif(ahp_known_weight, 0) as score,
        entropy_points / nullif(entropy_known_weight, 0) as score_by_entropy,
        round(ahp_known_weight, 9) as coverage_rate
    from weighted_customers
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
    cross join (select count(*) as count_assessed from assessed_customers) as assessed
),

ranked_customers as (
    select
        scored_customers.*,
        -- who is known too little ranks behind the others
        row_number() over (
            order by
                case when scored_customers.coverage_rate >= funnel.coverage_floor then 0 else 1 end,
                scored_customers.score desc nulls last,
                scored_customers.customer_id
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
        {%- for criterion in strategic_criteria() %}
        ranked_customers.{{ criterion }}_score,
        {%- endfor %}
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
        {%- for criterion in strategic_criteria() %}
        staged_customers.{{ criterion }}_measure,
        staged_customers.{{ criterion }}_score,
        staged_customers.{{ criterion }}_measure is not null as is_{{ criterion }}_known,
        {%- endfor %}
        staged_customers.count_survey_responses,
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
