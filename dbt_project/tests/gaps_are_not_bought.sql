-- A gap is a product that the customer did not buy in the window.
select
    customer_product_gaps.customer_id,
    customer_product_gaps.product_id
from {{ ref('customer_product_gaps') }} as customer_product_gaps
inner join {{ ref('customer_products') }} as customer_products
    on
        customer_product_gaps.customer_id = customer_products.customer_id
        and customer_product_gaps.product_id = customer_products.product_id
