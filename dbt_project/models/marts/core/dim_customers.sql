with customers as (
    select * from {{ ref('int_customers') }}
),

customer_identities as (
    select * from {{ ref('customer_identities') }}
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

-- every document, visit, answer, complaint and cost begins a customer's months, which go on to the
-- as-of date; orders that were cancelled do not, but whoever asked for something is a customer
seen_customers as (
    select customer_id from {{ rows_of_this_month('fct_customer_months') }}
    union
    select customer_id from {{ ref('fct_orders') }}
    where is_cancelled
    union
    select customer_id from {{ ref('fct_opportunities') }}
),

all_customers as (
    select
        coalesce(customers.customer_id, seen_customers.customer_id) as customer_id,
        customers.customer_name,
        customers.legal_id,
        customers.group_id,
        customers.parent_id,
        customers.industry,
        customers.size_class,
        customers.region,
        customers.customer_type,
        customers.account_manager,
        customers.payment_terms_days,
        customers.credit_limit_amount,
        customers.net_worth_amount,
        customers.working_capital_amount,
        customers.onboarded_on,
        customers.customer_id is null as is_derived
    from customers
    full outer join seen_customers on customers.customer_id = seen_customers.customer_id
    where
        seen_customers.customer_id is not null
        or customers.onboarded_on is null
        or customers.onboarded_on <= {{ as_of_date() }}
),

-- a customer that names itself, or one merged into it, stands at the top
parents as (
    select
        all_customers.customer_id,
        all_customers.group_id,
        case
            when known_parents.customer_id <> all_customers.customer_id
                then known_parents.customer_id
        end as parent_customer_id,
        all_customers.parent_id is not null and known_parents.customer_id is null
            as is_parent_unknown
    from all_customers
    left join customer_identities
        on all_customers.parent_id = customer_identities.source_customer_id
    left join all_customers as known_parents
        on
            coalesce(customer_identities.customer_id, all_customers.parent_id)
            = known_parents.customer_id
),

climbed_customers as (
    select
        step_0.customer_id,
        step_0.parent_customer_id,
        step_10.parent_customer_id is not null as is_endless,
        step_0.is_parent_unknown,
        {{ highest_of_ten_parents() }} as top_customer_id,
        1 + {{ count_of_ten_parents() }} as hierarchy_level
    from parents as step_0
    {{ join_ten_parents('parents') }}
),

-- who is caught in a circle, or stands below one, stands for itself
hierarchies as (
    select
        customer_id,
        parent_customer_id,
        case when is_endless then customer_id else top_customer_id end as top_customer_id,
        case when is_endless then 1 else hierarchy_level end as hierarchy_level,
        is_endless or is_parent_unknown as is_hierarchy_broken
    from climbed_customers
),

final as (
    select
        all_customers.customer_id,
        -- a customer without a name in the feed goes by its id
        coalesce(all_customers.customer_name, all_customers.customer_id) as customer_name,
        all_customers.legal_id,
        all_customers.group_id,
        hierarchies.parent_customer_id,
        hierarchies.top_customer_id,
        cast(hierarchies.hierarchy_level as integer) as hierarchy_level,
        -- who belongs to the head of a group belongs to the group
        coalesce(all_customers.group_id, tops.group_id, hierarchies.top_customer_id) as group_key,
        hierarchies.is_hierarchy_broken,
        all_customers.industry,
        all_customers.size_class,
        all_customers.region,
        all_customers.customer_type,
        all_customers.account_manager,
        all_customers.payment_terms_days,
        all_customers.credit_limit_amount,
        all_customers.net_worth_amount,
        all_customers.working_capital_amount,
        all_customers.onboarded_on,
        customer_totals.first_ordered_on,
        customer_totals.last_ordered_on,
        all_customers.is_derived
    from all_customers
    inner join hierarchies on all_customers.customer_id = hierarchies.customer_id
    inner join all_customers as tops on hierarchies.top_customer_id = tops.customer_id
    left join customer_totals on all_customers.customer_id = customer_totals.customer_id
)

select * from final
