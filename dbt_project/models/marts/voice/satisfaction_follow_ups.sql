{#- Unhappy is a detractor, or whoever's satisfaction is in the lower half of its scale. -#}
with customers as (
    select * from {{ ref('dim_customers') }}
),

profile_rules as (
    select detractor_to
    from {{ ref('profile_rules') }}
    where {{ is_in_force() }}
),

voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

parameters as (
    select * from {{ parameters_in_force('voice_parameters', ['follow_up_days']) }}
),

interactions as (
    select * from {{ ref('fct_interactions') }}
    -- a mailing is no answer
    where kind <> 'mail'
),

-- one answer a response: what it says of the whole
answers as (
    select
        survey_responses.customer_id,
        survey_responses.measure,
        survey_responses.response_id,
        survey_responses.answered_at,
        survey_responses.answered_on,
        survey_responses.score,
        survey_responses.scale_max,
        survey_responses.comment_text,
        case survey_responses.measure
            when 'nps' then 10 * survey_responses.score_rate <= profile_rules.detractor_to
            else survey_responses.score_rate < 0.5
        end as is_unhappy,
        row_number() over (
            partition by survey_responses.customer_id, survey_responses.measure
            order by
                survey_responses.answered_at desc,
                survey_responses.response_id desc,
                survey_responses.question_code desc
        ) as place
    from {{ ref('fct_survey_responses') }} as survey_responses
    cross join profile_rules
    inner join voice_texts
        on
            survey_responses.question_code = voice_texts.code
            and voice_texts.area = 'overall_question'
    where
        survey_responses.measure in ('nps', 'csat')
        and survey_responses.score_rate is not null
),

happy_answers as (
    select
        customer_id,
        measure,
        min(place) as happy_place
    from answers
    where not is_unhappy
    group by customer_id, measure
),

last_happy_answers as (
    select
        customer_id,
        max(answered_at) as answered_at
    from answers
    where not is_unhappy
    group by customer_id
),

-- of the answers since the last happy one: how many, and since when
unhappy_runs as (
    select
        answers.customer_id,
        answers.measure,
        min(answers.answered_on) as unhappy_since_on,
        count(*) as count_unhappy
    from answers
    left join happy_answers
        on
            answers.customer_id = happy_answers.customer_id
            and answers.measure = happy_answers.measure
    where answers.place < coalesce(happy_answers.happy_place, answers.place + 1)
    group by answers.customer_id, answers.measure
),

-- its latest unhappy answer, unless it was happy later by the other question; where both
-- are unhappy, the recommendation stands
unhappy_customers as (
    select
        answers.*,
        unhappy_runs.unhappy_since_on,
        unhappy_runs.count_unhappy,
        row_number() over (
            partition by answers.customer_id
            order by answers.answered_at desc, answers.measure desc
        ) as answer_place
    from answers
    inner join unhappy_runs
        on
            answers.customer_id = unhappy_runs.customer_id
            and answers.measure = unhappy_runs.measure
    left join last_happy_answers on answers.customer_id = last_happy_answers.customer_id
    where
        answers.place = 1
        and coalesce(answers.answered_at >= last_happy_answers.answered_at, true)
),

contacts as (
    select
        unhappy_customers.customer_id,
        interactions.interaction_id,
        interactions.occurred_on,
        interactions.kind,
        row_number() over (
            partition by unhappy_customers.customer_id
            order by interactions.occurred_at asc, interactions.interaction_id asc
        ) as place
    from unhappy_customers
    inner join interactions
        on
            unhappy_customers.customer_id = interactions.customer_id
            and unhappy_customers.answered_at < interactions.occurred_at
    where unhappy_customers.answer_place = 1
),

due_days as (
    select
        unhappy_customers.customer_id,
        days.date_on,
        row_number() over (
            partition by unhappy_customers.customer_id order by days.date_on asc
        ) as day_no
    from unhappy_customers
    inner join {{ ref('dim_dates') }} as days
        on
            unhappy_customers.answered_on < days.date_on
            and days.date_on <= {{ add_days('unhappy_customers.answered_on', 60) }}
    where unhappy_customers.answer_place = 1 and days.is_business_day
),

joined_customers as (
    select
        unhappy_customers.*,
        customers.customer_name,
        customers.account_manager,
        due_days.date_on as due_on,
        contacts.interaction_id as follow_up_id,
        contacts.occurred_on as followed_up_on,
        contacts.kind as follow_up_kind,
        case
            when not {{ has_feed('interactions') }} then 'unknown'
            when contacts.occurred_on > due_days.date_on then 'followed_up_late'
            when contacts.interaction_id is not null then 'followed_up'
            when due_days.date_on < {{ as_of_date() }} then 'overdue'
            else 'due'
        end as status
    from unhappy_customers
    cross join parameters
    left join customers on unhappy_customers.customer_id = customers.customer_id
    left join due_days
        on
            unhappy_customers.customer_id = due_days.customer_id
            and parameters.follow_up_days = due_days.day_no
    left join contacts
        on unhappy_customers.customer_id = contacts.customer_id and contacts.place = 1
    where unhappy_customers.answer_place = 1
),

final as (
    select
        joined_customers.customer_id,
        joined_customers.customer_name,
        joined_customers.account_manager,
        joined_customers.measure,
        joined_customers.response_id,
        joined_customers.answered_on,
        joined_customers.score,
        joined_customers.scale_max,
        joined_customers.comment_text,
        joined_customers.unhappy_since_on,
        cast(joined_customers.count_unhappy as integer) as count_unhappy_answers,
        joined_customers.due_on,
        joined_customers.followed_up_on,
        joined_customers.follow_up_id,
        joined_customers.follow_up_kind,
        {{ days_between('joined_customers.answered_on', 'joined_customers.followed_up_on') }}
            as days_to_follow_up,
        case
            when joined_customers.status <> 'unknown'
                then joined_customers.follow_up_id is not null
        end as is_followed_up,
        joined_customers.status,
        voice_texts.label_en as status_label_en,
        voice_texts.label_zh as status_label_zh
    from joined_customers
    left join voice_texts
        on
            joined_customers.status = voice_texts.code
            and voice_texts.area = 'follow_up_status'
)

select * from final
