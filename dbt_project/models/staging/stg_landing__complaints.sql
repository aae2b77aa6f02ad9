select
    -- keys
    complaint_id,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    order_id,
    -- dates: times are UTC, opened_on and resolved_on the company's business dates; the feed has
    -- no business date of the response, its date is UTC's
    opened_at,
    opened_on,
    responded_at,
    cast(responded_at as date) as responded_on,
    resolved_at,
    resolved_on,
    -- attributes
    category,
    severity,
    resolution,
    coalesce(reopened, false) as is_reopened,
    satisfied as is_satisfied,
    -- amounts: in the reporting currency
    cast(compensation as decimal(18, 2)) as compensation_amount
from {{ source('landing', 'complaints') }}
where _held_reason is null and not is_deleted
