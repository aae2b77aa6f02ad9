select
    -- keys
    order_id,
    line_no,
    product_id,
    -- quantities
    cast(quantity as decimal(18, 3)) as quantity,
    cast(unit_price as decimal(18, 4)) as unit_price,
    cast(unit_cost as decimal(18, 4)) as unit_cost,
    -- amounts
    cast(discount as decimal(18, 2)) as discount_amount,
    cast(tax as decimal(18, 2)) as tax_amount,
    cast(amount as decimal(18, 2)) as line_amount
from {{ source('landing', 'order_lines') }}
where _held_reason is null and not is_deleted
