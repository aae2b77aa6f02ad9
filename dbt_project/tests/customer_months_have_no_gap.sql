-- Each customer has every month from its first to the month of the as-of date.
select
    customer_id,
    count(*) as count_months
from {{ ref('fct_customer_months') }}
group by customer_id
having
    max(month_on) <> {{ month_start(as_of_date()) }}
    or count(*) <> {{ months_between('min(month_on)', month_start(as_of_date())) }} + 1
