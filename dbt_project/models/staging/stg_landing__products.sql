select
    -- keys
    product_id,
    -- attributes
    name as product_name,
    category,
    unit,
    cast(tonnes_per_unit as decimal(18, 4)) as tonnes_per_unit
from {{ source('landing', 'products') }}
where _held_reason is null and not is_deleted
