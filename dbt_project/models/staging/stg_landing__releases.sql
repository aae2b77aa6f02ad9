select
    release_id,
    release_sequence,
    parent_release_id,
    run_id,
    as_of,
    started_at,
    code_version,
    count_batches,
    is_rebuild
from {{ source('landing', 'releases') }}
