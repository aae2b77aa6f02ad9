select
    -- keys
    currency,
    valid_on,
    -- the day the rate is of: before valid_on over weekends and holidays
    rate_on,
    -- what one unit of the currency is worth in the reporting currency
    cast(rate as decimal(18, 8)) as rate
from {{ source('landing', 'fx_days') }}
