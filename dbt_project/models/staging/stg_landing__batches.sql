select
    feed,
    batch_id,
    landed_at,
    rows_pulled,
    release_sequence,
    cursor_max,
    source
from {{ source('landing', 'batches') }}
