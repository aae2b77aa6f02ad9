select
    -- keys
    cost_id,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    -- dates
    incurred_on,
    -- attributes; no currency means the reporting currency
    kind,
    currency,
    -- amounts
    cast(amount as decimal(18, 2)) as cost_amount
from {{ source('landing', 'customer_costs') }}
where _held_reason is null and not is_deleted
