select
    -- keys
    entry_no,
    from_customer_id,
    to_customer_id,
    -- what it is about: every row, one row, or the rows of some days
    kind,
    feed,
    row_key,
    valid_from,
    valid_to,
    -- who decided
    decided_by,
    decided_on,
    reason
from {{ source('landing', 'identities') }}
