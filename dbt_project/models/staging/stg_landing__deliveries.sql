select
    -- keys
    delivery_id,
    order_id,
    -- dates: delivered_at is UTC, delivered_on the company's business date
    delivered_at,
    delivered_on,
    promised_on,
    -- quantities
    cast(quantity as decimal(18, 3)) as quantity,
    -- amounts: net of tax, in the order's currency
    cast(amount as decimal(18, 2)) as delivered_amount
from {{ source('landing', 'deliveries') }}
where _held_reason is null and not is_deleted
