-- The purchases of the window are all there: no line of a known product is lost or counted twice.
with product_totals as (
    select coalesce(sum(revenue_amount), 0) as revenue_amount
    from {{ ref('customer_products') }}
),

line_totals as (
    select coalesce(sum(revenue_amount), 0) as revenue_amount
    from {{ ref('fct_order_lines') }}
    where
        not is_cancelled
        and product_id is not null
        and ordered_on > {{ add_months(as_of_date(), '-' ~ affinity_rule('window_months')) }}
)

select
    product_totals.revenue_amount,
    line_totals.revenue_amount as expected_amount
from product_totals
cross join line_totals
where product_totals.revenue_amount <> line_totals.revenue_amount
