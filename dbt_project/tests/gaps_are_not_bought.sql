-- A gap is a product that the customer did not buy in the window, and tells when it last did.
select
    customer_product_gaps.customer_id,
    customer_product_gaps.product_id
from {{ ref('customer_product_gaps') }} as customer_product_gaps
inner join {{ ref('customer_products') }} as customer_products
    on
        customer_product_gaps.customer_id = customer_products.customer_id
        and customer_product_gaps.product_id = customer_products.product_id
union all
select
    customer_product_gaps.customer_id,
    customer_product_gaps.product_id
from {{ ref('customer_product_gaps') }} as customer_product_gaps
left join {{ ref('fct_order_lines') }} as order_lines
    on
        customer_product_gaps.customer_id = order_lines.customer_id
        and customer_product_gaps.product_id = order_lines.product_id
        and not order_lines.is_cancelled
group by
    customer_product_gaps.customer_id,
    customer_product_gaps.product_id,
    customer_product_gaps.last_bought_on
having max(order_lines.ordered_on) is distinct from customer_product_gaps.last_bought_on
