select
    -- keys
    price_on,
    price_code,
    -- attributes; no currency means the reporting currency
    category,
    currency,
    -- per tonne
    cast(price as decimal(18, 4)) as market_price
from {{ source('landing', 'market_prices') }}
where _held_reason is null and not is_deleted
