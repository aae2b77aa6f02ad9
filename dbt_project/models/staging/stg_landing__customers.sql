-- Several source ids may count as one customer: the record under its own id stands for it, or else
-- the latest of those moved to it.
select
    -- keys
    customers._customer_id as customer_id,
    customers.customer_id as source_customer_id,
    -- attributes
    customers.name as customer_name,
    customers.legal_id,
    customers.group_id,
    customers.industry,
    customers.size_class,
    customers.region,
    customers.customer_type,
    customers.account_manager,
    cast(customers.payment_terms_days as integer) as payment_terms_days,
    cast(customers.credit_limit as decimal(18, 2)) as credit_limit_amount,
    cast(customers.net_worth as decimal(18, 2)) as net_worth_amount,
    -- dates
    customers.onboarded_on
from {{ source('landing', 'customers') }} as customers
where customers._held_reason is null and not customers.is_deleted
qualify row_number() over (
    partition by customers._customer_id
    order by
        case when customers.customer_id = customers._customer_id then 0 else 1 end asc,
        customers.updated_at desc nulls last,
        customers.customer_id asc
) = 1
