select
    subject_kind,
    subject_id,
    since_on,
    customer_id,
    code,
    due_on,
    last_told_on,
    release_sequence
from {{ source('landing', 'deadlines') }}
