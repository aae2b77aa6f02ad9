with customers as (
    select * from {{ ref('dim_customers') }}
),

customer_segments as (
    select * from {{ ref('customer_segments') }}
),

receivables_balances as (
    select * from {{ ref('receivables_balances') }}
),

balance_totals as (
    select
        customer_id,
        sum(open_amount) as open_amount,
        sum(overdue_amount) as overdue_amount
    from receivables_balances
    group by customer_id
),

group_totals as (
    select
        customers.group_key,
        count(*) as count_customers,
        sum(customer_segments.revenue_12_months_amount) as revenue_amount,
        -- members of unknown cost bring no margin
        sum(customer_segments.margin_12_months_amount) as margin_amount,
        sum(balance_totals.open_amount) as open_amount,
        sum(balance_totals.overdue_amount) as overdue_amount,
        sum(customers.credit_limit_amount) as credit_limit_amount,
        min(customers.first_ordered_on) as first_ordered_on,
        max(customers.last_ordered_on) as last_ordered_on
    from customers
    left join customer_segments on customers.customer_id = customer_segments.customer_id
    left join balance_totals on customers.customer_id = balance_totals.customer_id
    group by customers.group_key
),

-- the head is the member that most other members have above them
owned_members as (
    select
        group_key,
        top_customer_id,
        count(*) as count_owned
    from customers
    where hierarchy_level > 1
    group by group_key, top_customer_id
),

heads as (
    select
        owned_members.group_key,
        customers.customer_id,
        customers.customer_name
    from owned_members
    inner join customers
        on
            owned_members.top_customer_id = customers.customer_id
            and owned_members.group_key = customers.group_key
    qualify row_number() over (
        partition by owned_members.group_key
        order by owned_members.count_owned desc, customers.customer_id asc
    ) = 1
),

company_total as (
    select sum(revenue_12_months_amount) as revenue_amount
    from customer_segments
),

final as (
    select
        group_totals.group_key,
        heads.customer_id as head_customer_id,
        coalesce(heads.customer_name, group_totals.group_key) as group_name,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        cast(group_totals.count_customers as integer) as count_customers,
        cast(coalesce(group_totals.revenue_amount, 0) as decimal(18, 2))
            as revenue_12_months_amount,
        cast(group_totals.margin_amount as decimal(18, 2)) as margin_12_months_amount,
        case
            when company_total.revenue_amount > 0
                then
                    cast(coalesce(group_totals.revenue_amount, 0) as double)
                    / cast(company_total.revenue_amount as double)
        end as share_of_revenue,
        cast(coalesce(group_totals.open_amount, 0) as decimal(18, 2)) as open_amount,
        cast(coalesce(group_totals.overdue_amount, 0) as decimal(18, 2)) as overdue_amount,
        cast(group_totals.credit_limit_amount as decimal(18, 2)) as credit_limit_amount,
        group_totals.first_ordered_on,
        group_totals.last_ordered_on
    from group_totals
    cross join company_total
    left join heads on group_totals.group_key = heads.group_key
    where group_totals.count_customers >= 2
)

select * from final
