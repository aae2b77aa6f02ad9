select
    model,
    version,
    fitted_as_of,
    release_id,
    release_sequence,
    is_promoted,
    fit_status,
    verdict_en,
    verdict_zh,
    artefact,
    measures
from {{ source('landing', 'model_runs') }}
