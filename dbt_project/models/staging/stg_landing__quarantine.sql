select
    -- keys
    quarantine_id,
    feed,
    batch_id,
    row_key,
    -- attributes
    rule,
    reason,
    column_name,
    value as column_value,
    source as source_location,
    raw as raw_row,
    owner,
    release_sequence,
    first_seen_at,
    -- amounts
    currency,
    cast(amount as decimal(18, 2)) as quarantined_amount
from {{ source('landing', 'quarantine') }}
