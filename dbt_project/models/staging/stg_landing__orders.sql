select
    -- keys
    order_id,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    contract_id,
    -- dates: ordered_at is UTC, ordered_on the company's business date
    ordered_at,
    ordered_on,
    -- attributes
    status,
    sale_type,
    channel,
    currency,
    -- amounts
    cast(amount as decimal(18, 2)) as order_amount
from {{ source('landing', 'orders') }}
where _held_reason is null and not is_deleted
