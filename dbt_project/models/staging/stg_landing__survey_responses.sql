select
    -- keys
    response_id,
    -- measures and labels go by codes in small letters
    lower(question_code) as question_code,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    order_id,
    survey_id,
    -- dates: answered_at is UTC, answered_on the company's business date
    answered_at,
    answered_on,
    -- attributes
    need_type,
    text as comment_text,
    -- scores
    cast(score as decimal(9, 2)) as score,
    cast(scale_min as decimal(9, 2)) as scale_min,
    cast(scale_max as decimal(9, 2)) as scale_max,
    cast(importance as decimal(9, 2)) as importance,
    cast(urgency as decimal(9, 2)) as urgency
from {{ source('landing', 'survey_responses') }}
where _held_reason is null and not is_deleted
