-- Every customer has a state in every month from its first to the month of the as-of date.
with customers as (
    select * from {{ ref('dim_customers') }}
),

state_months as (
    select
        customer_id,
        min(month_on) as first_month_on,
        max(month_on) as last_month_on,
        count(*) as count_months
    from {{ ref('int_customer_states') }}
    group by customer_id
)

select
    customers.customer_id as known_customer_id,
    state_months.customer_id as state_customer_id,
    state_months.count_months
from customers
full outer join state_months on customers.customer_id = state_months.customer_id
where
    customers.customer_id is null
    or state_months.customer_id is null
    or state_months.last_month_on <> {{ month_start(as_of_date()) }}
    or state_months.count_months
    <> {{ months_between('state_months.first_month_on', month_start(as_of_date())) }} + 1
