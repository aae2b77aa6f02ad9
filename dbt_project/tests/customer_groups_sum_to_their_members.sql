-- Every customer of a group with two members or more is in that group, once, with all it brings.
with member_counts as (
    select
        group_key,
        count(*) as count_members
    from {{ ref('dim_customers') }}
    group by group_key
),

members as (
    select
        customers.customer_id,
        customers.group_key,
        customers.credit_limit_amount
    from {{ ref('dim_customers') }} as customers
    inner join member_counts on customers.group_key = member_counts.group_key
    where member_counts.count_members >= 2
),

member_sums as (
    select
        (select count(*) from members) as count_customers,
        (select count(distinct customer_id) from members) as count_distinct_customers,
        (select coalesce(sum(credit_limit_amount), 0) from members) as credit_limit_amount,
        (
            select coalesce(sum(net_revenue_amount), 0)
            from {{ ref('fct_customer_months') }}
            where
                month_on >= {{ add_months(month_start(as_of_date()), -11) }}
                and customer_id in (select customer_id from members)
        ) as revenue_amount,
        (
            select coalesce(sum(open_amount), 0)
            from {{ ref('receivables_balances') }}
            where customer_id in (select customer_id from members)
        ) as open_amount,
        (
            select coalesce(sum(overdue_amount), 0)
            from {{ ref('receivables_balances') }}
            where customer_id in (select customer_id from members)
        ) as overdue_amount
),

group_sums as (
    select
        coalesce(sum(count_customers), 0) as count_customers,
        coalesce(sum(credit_limit_amount), 0) as credit_limit_amount,
        coalesce(sum(revenue_12_months_amount), 0) as revenue_amount,
        coalesce(sum(open_amount), 0) as open_amount,
        coalesce(sum(overdue_amount), 0) as overdue_amount
    from {{ ref('customer_groups') }}
)

select
    member_sums.count_customers,
    group_sums.count_customers as count_in_groups
from member_sums
cross join group_sums
where
    member_sums.count_customers <> group_sums.count_customers
    or member_sums.count_customers <> member_sums.count_distinct_customers
    or member_sums.credit_limit_amount <> group_sums.credit_limit_amount
    or member_sums.revenue_amount <> group_sums.revenue_amount
    or member_sums.open_amount <> group_sums.open_amount
    or member_sums.overdue_amount <> group_sums.overdue_amount
