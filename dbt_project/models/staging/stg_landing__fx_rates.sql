select
    -- keys
    rate_on,
    currency,
    -- what one unit of the currency is worth in the reporting currency
    cast(rate as decimal(18, 8)) as rate
from {{ source('landing', 'fx_rates') }}
where _held_reason is null and not is_deleted
