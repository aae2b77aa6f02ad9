select
    feed,
    is_configured,
    data_through,
    count_rows
from {{ source('landing', 'feeds') }}
