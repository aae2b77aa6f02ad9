select
    -- keys
    feed,
    currency,
    batch_id,
    release_sequence,
    -- rows
    rows_pulled as count_rows_pulled,
    rows_accepted as count_rows_accepted,
    rows_quarantined as count_rows_quarantined,
    rows_duplicate as count_rows_duplicate,
    rows_superseded as count_rows_superseded,
    rows_held as count_rows_held,
    source_rows,
    -- amounts
    cast(amount_pulled as decimal(38, 2)) as pulled_amount,
    cast(amount_accepted as decimal(38, 2)) as accepted_amount,
    cast(amount_quarantined as decimal(38, 2)) as quarantined_amount,
    cast(amount_duplicate as decimal(38, 2)) as duplicate_amount,
    cast(amount_superseded as decimal(38, 2)) as superseded_amount,
    cast(amount_held as decimal(38, 2)) as held_amount,
    cast(source_amount as decimal(38, 2)) as source_amount
from {{ source('landing', 'ledger') }}
