select
    -- keys
    quarantine_id,
    feed,
    batch_id,
    row_key,
    -- attributes
    rule,
    source as source_location,
    owner,
    first_seen_at,
    -- how it ended
    closed_by,
    decided_by,
    decision_reason,
    waived_until,
    replay_batch_id,
    release_sequence,
    -- amounts
    currency,
    cast(amount as decimal(18, 2)) as quarantined_amount
from {{ source('landing', 'quarantine_closed') }}
