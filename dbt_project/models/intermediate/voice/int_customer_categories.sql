{#- The category a customer buys most of, by month: for what it says without naming an order. -#}
with order_lines as (
    select
        lines_of_orders.customer_id,
        {{ month_start('lines_of_orders.ordered_on') }} as month_on,
        products.category,
        sum(lines_of_orders.revenue_amount) as revenue_amount
    from {{ ref('fct_order_lines') }} as lines_of_orders
    inner join {{ ref('dim_products') }} as products
        on lines_of_orders.product_id = products.product_id
    where not lines_of_orders.is_cancelled and products.category is not null
    group by
        lines_of_orders.customer_id,
        {{ month_start('lines_of_orders.ordered_on') }},
        products.category
),

-- a month's purchases count in the window's months that follow
counted_months as (
    select
        order_lines.customer_id,
        order_lines.category,
        order_lines.revenue_amount,
        cast({{ explode_months(
            'order_lines.month_on',
            'least(' ~ month_start(as_of_date()) ~ ', '
            ~ add_months('order_lines.month_on', voice_window_months() - 1)
            ~ ')',
        ) }} as date) as month_on
    from order_lines
),

window_revenue as (
    select
        customer_id,
        month_on,
        category,
        sum(revenue_amount) as revenue_amount
    from counted_months
    group by customer_id, month_on, category
),

ranked_categories as (
    select
        *,
        row_number() over (
            partition by customer_id, month_on order by revenue_amount desc, category asc
        ) as place
    from window_revenue
),

final as (
    select
        customer_id,
        month_on,
        category as product_category
    from ranked_categories
    where place = 1
)

select * from final
