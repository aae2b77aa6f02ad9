{#- Answers to items of the last 12 months, each beside what its response says of the whole. -#}
with survey_responses as (
    select * from {{ ref('fct_survey_responses') }}
    where
        score_rate is not null
        and answered_on > {{ add_months(as_of_date(), -voice_window_months()) }}
),

overall_questions as (
    select code
    from {{ ref('voice_texts') }}
    where area = 'overall_question' and {{ is_in_force() }}
),

-- how much a customer buys is no part of its satisfaction
share_questions as (
    select code
    from {{ ref('voice_texts') }}
    where area = 'share_of_demand_question' and {{ is_in_force() }}
),

overall_answers as (
    select
        response_id,
        customer_id,
        {{ mean_of('sum(score_rate)', 'count(score_rate)') }} as overall_rate
    from survey_responses
    where measure = 'csat' and question_code in (select code from overall_questions)
    group by response_id, customer_id
),

final as (
    select
        survey_responses.response_id,
        survey_responses.customer_id,
        survey_responses.question_code,
        cast(survey_responses.score_rate as double) as score_rate,
        overall_answers.overall_rate
    from survey_responses
    inner join overall_answers
        on
            survey_responses.response_id = overall_answers.response_id
            and survey_responses.customer_id = overall_answers.customer_id
    where
        survey_responses.question_code not in (select code from overall_questions)
        and survey_responses.question_code not in (select code from share_questions)
)

select * from final
