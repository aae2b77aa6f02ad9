{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed(
        'response_id', changed_rows('survey_responses'), parameters_moved('survey_measures')
    ) }}",
) }}
-- depends_on: {{ ref('int_rows_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed(
    'response_id', changed_rows('survey_responses'), parameters_moved('survey_measures')
) %}

with survey_responses as (
    select * from {{ ref('stg_landing__survey_responses') }}
    where
        answered_on <= {{ as_of_date() }}
        and {{ is_in_scope }}
),

survey_measures as (
    select * from {{ ref('survey_measures') }}
    where {{ is_in_force() }}
),

final as (
    select
        survey_responses.response_id,
        survey_responses.question_code,
        survey_responses.customer_id,
        survey_responses.order_id,
        survey_responses.survey_id,
        survey_responses.answered_at,
        survey_responses.answered_on,
        survey_responses.score,
        survey_responses.scale_min,
        survey_responses.scale_max,
        case
            when survey_responses.scale_max > survey_responses.scale_min
                then cast(
                    (survey_responses.score - survey_responses.scale_min)
                    / (survey_responses.scale_max - survey_responses.scale_min)
                    as decimal(9, 6)
                )
        end as score_rate,
        survey_responses.importance,
        survey_responses.urgency,
        survey_responses.need_type,
        survey_responses.comment_text,
        -- csat_overall and csat_delivery both measure csat
        survey_measures.measure
    from survey_responses
    left join survey_measures
        on split_part(survey_responses.question_code, '_', 1) = survey_measures.question_prefix
)

select * from final
