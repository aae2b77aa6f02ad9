with customers as (
    select * from {{ ref('stg_landing__customers') }}
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

-- also orders that were cancelled: whoever asked for something is a customer
seen_customers as (
    select customer_id from {{ ref('fct_orders') }}
    union
    select customer_id from {{ ref('fct_invoices') }}
    union
    select customer_id from {{ ref('fct_payments') }}
    union
    select customer_id from {{ ref('fct_survey_responses') }}
),

all_customers as (
    select
        coalesce(customers.customer_id, seen_customers.customer_id) as customer_id,
        customers.customer_name,
        customers.legal_id,
        customers.group_id,
        customers.industry,
        customers.size_class,
        customers.region,
        customers.customer_type,
        customers.account_manager,
        customers.payment_terms_days,
        customers.credit_limit_amount,
        customers.onboarded_on,
        customers.customer_id is null as is_derived
    from customers
    full outer join seen_customers on customers.customer_id = seen_customers.customer_id
    where
        seen_customers.customer_id is not null
        or customers.onboarded_on is null
        or customers.onboarded_on <= {{ as_of_date() }}
),

final as (
    select
        all_customers.customer_id,
        -- a customer without a name in the feed goes by its id
        coalesce(all_customers.customer_name, all_customers.customer_id) as customer_name,
        all_customers.legal_id,
        all_customers.group_id,
        all_customers.industry,
        all_customers.size_class,
        all_customers.region,
        all_customers.customer_type,
        all_customers.account_manager,
        all_customers.payment_terms_days,
        all_customers.credit_limit_amount,
        all_customers.onboarded_on,
        customer_totals.first_ordered_on,
        customer_totals.last_ordered_on,
        all_customers.is_derived
    from all_customers
    left join customer_totals on all_customers.customer_id = customer_totals.customer_id
)

select * from final
