select
    -- keys
    interaction_id,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    campaign_id,
    -- dates: occurred_at is UTC, occurred_on the company's business date
    occurred_at,
    occurred_on,
    -- attributes
    kind,
    account_manager,
    -- amounts: in the reporting currency
    cast(cost as decimal(18, 2)) as cost_amount
from {{ source('landing', 'interactions') }}
where _held_reason is null and not is_deleted
