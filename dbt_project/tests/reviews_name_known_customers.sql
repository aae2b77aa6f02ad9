-- A grade or a provision that a reviewer set is of a customer under the id that dim_customers gives
-- it: one under a misspelt id, or of a record that was merged into another, would do nothing.
select
    'credit_overrides' as seed,
    credit_overrides.customer_id
from {{ ref('credit_overrides') }} as credit_overrides
left join {{ ref('dim_customers') }} as customers
    on credit_overrides.customer_id = customers.customer_id
where
    customers.customer_id is null
    and {{ is_in_force_on('credit_overrides', as_of_date()) }}
    and credit_overrides.decided_on <= {{ as_of_date() }}
    and credit_overrides.expires_on > {{ as_of_date() }}
union all
select
    'specific_provisions' as seed,
    specific_provisions.customer_id
from {{ ref('specific_provisions') }} as specific_provisions
left join {{ ref('dim_customers') }} as customers
    on specific_provisions.customer_id = customers.customer_id
where
    customers.customer_id is null
    and {{ is_in_force_on('specific_provisions', as_of_date()) }}
