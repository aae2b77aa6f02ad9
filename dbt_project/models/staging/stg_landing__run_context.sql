select
    release_id,
    release_sequence,
    parent_release_id,
    parent_as_of,
    as_of,
    is_rebuild,
    is_refit,
    reporting_currency,
    calendar,
    is_small_or_medium,
    company,
    company_name_en,
    company_name_zh,
    run_id,
    started_at,
    code_version
from {{ source('landing', 'run_context') }}
