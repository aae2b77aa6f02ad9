-- customer_clv and the value tier speak of the same value
select
    customer_clv.customer_id,
    customer_clv.historical_clv_amount,
    customer_values.value_to_date_amount
from {{ ref('customer_clv') }} as customer_clv
inner join {{ ref('customer_values') }} as customer_values
    on customer_clv.customer_id = customer_values.customer_id
where
    customer_values.month_on = {{ month_start(as_of_date()) }}
    and customer_clv.historical_clv_amount is distinct from customer_values.value_to_date_amount
