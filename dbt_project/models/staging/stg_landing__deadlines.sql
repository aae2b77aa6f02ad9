select
    subject_kind,
    subject_id,
    since_on,
    coalesce(first_told_on, since_on) as first_told_on,
    customer_id,
    code,
    due_on,
    last_told_on,
    coalesce(last_stood_on, last_told_on) as last_stood_on,
    release_sequence
from {{ source('landing', 'deadlines') }}
