select
    -- keys
    opportunity_id,
    _customer_id as customer_id,
    customer_id as source_customer_id,
    -- dates
    opened_on,
    expected_on,
    closed_on,
    -- attributes; no currency means the reporting currency
    stage,
    won as is_won,
    account_manager,
    lost_reason,
    currency,
    cast(probability as decimal(18, 8)) as win_probability,
    -- amounts
    cast(amount as decimal(18, 2)) as opportunity_amount
from {{ source('landing', 'opportunities') }}
where _held_reason is null and not is_deleted
