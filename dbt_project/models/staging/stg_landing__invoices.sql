select
    -- keys
    invoice_id,
    order_id,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    -- dates
    invoiced_on,
    due_on,
    -- attributes
    kind,
    currency,
    coalesce(disputed, false) as is_disputed,
    -- amounts: positive as landed, the kind gives the sign
    cast(amount as decimal(18, 2)) as document_amount,
    cast(tax as decimal(18, 2)) as tax_amount
from {{ source('landing', 'invoices') }}
where _held_reason is null and not is_deleted
