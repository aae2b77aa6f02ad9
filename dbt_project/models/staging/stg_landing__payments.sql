select
    -- keys
    payment_id,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    order_id,
    reference,
    bill_no,
    -- dates: received_at is UTC, received_on the company's business date
    received_at,
    received_on,
    bill_matures_on,
    bill_status_on,
    -- attributes
    kind,
    method,
    bill_status,
    currency,
    -- amounts: positive as landed, the kind gives the sign
    cast(amount as decimal(18, 2)) as paid_amount
from {{ source('landing', 'payments') }}
where _held_reason is null and not is_deleted
