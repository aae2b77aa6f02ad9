select
    -- keys
    customer_id,
    -- attributes
    name as customer_name,
    legal_id,
    group_id,
    industry,
    size_class,
    region,
    customer_type,
    account_manager,
    cast(payment_terms_days as integer) as payment_terms_days,
    cast(credit_limit as decimal(18, 2)) as credit_limit_amount,
    -- dates
    onboarded_on
from {{ source('landing', 'customers') }}
where _held_reason is null and not is_deleted
