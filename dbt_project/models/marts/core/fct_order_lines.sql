{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('order_id', changed_orders()) }}",
) }}
-- depends_on: {{ ref('int_orders_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with order_lines as (
    select * from {{ ref('stg_landing__order_lines') }}
    where {{ where_changed('order_id', changed_orders()) }}
),

fx_days as (
    select * from {{ ref('stg_landing__fx_days') }}
),

orders as (
    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_on,
        orders.currency as document_currency,
        {{ rate_into_reporting('orders.currency', 'fx_days.rate') }} as fx_rate,
        orders.status = 'cancelled' as is_cancelled
    from {{ ref('stg_landing__orders') }} as orders
    left join fx_days
        on orders.currency = fx_days.currency and orders.ordered_on = fx_days.valid_on
    where orders.ordered_on <= {{ as_of_date() }}
),

products as (
    select * from {{ ref('stg_landing__products') }}
),

document_lines as (
    select
        order_lines.order_id,
        order_lines.line_no,
        orders.customer_id,
        order_lines.product_id,
        orders.ordered_on,
        orders.is_cancelled,
        orders.document_currency,
        orders.fx_rate,
        order_lines.quantity,
        order_lines.unit_price as document_unit_price,
        order_lines.line_amount as document_ordered_amount,
        -- a cancelled line brought nothing: its measures are zero, ordered_amount keeps its value
        case when orders.is_cancelled then 0 else 1 end as share_counted,
        coalesce(order_lines.discount_amount, 0) as document_discount_amount,
        coalesce(order_lines.tax_amount, 0) as document_tax_amount,
        {{ to_amount('order_lines.quantity * order_lines.unit_cost') }} as document_cost_amount,
        cast(
            round(order_lines.quantity * products.tonnes_per_unit, 4) as decimal(18, 4)
        ) as weight_tonnes
    from order_lines
    inner join orders on order_lines.order_id = orders.order_id
    left join products on order_lines.product_id = products.product_id
),

priced_lines as (
    select
        *,
        {{ price_in_reporting_currency('document_unit_price', 'fx_rate') }} as unit_price,
        {{ in_reporting_currency('document_ordered_amount', 'fx_rate') }} as ordered_amount,
        {{ in_reporting_currency('document_discount_amount', 'fx_rate') }} as discount_amount,
        {{ in_reporting_currency('document_tax_amount', 'fx_rate') }} as tax_amount,
        {{ in_reporting_currency('document_cost_amount', 'fx_rate') }} as cost_amount
    from document_lines
),

final as (
    select
        order_id,
        cast(line_no as integer) as line_no,
        customer_id,
        product_id,
        ordered_on,
        is_cancelled,
        {{ reporting_currency() }} as currency,
        document_currency,
        fx_rate,
        quantity,
        cast(weight_tonnes * share_counted as decimal(18, 4)) as weight_tonnes,
        unit_price,
        cast(discount_amount * share_counted as decimal(18, 2)) as discount_amount,
        cast(tax_amount * share_counted as decimal(18, 2)) as tax_amount,
        cast(ordered_amount * share_counted as decimal(18, 2)) as revenue_amount,
        cast(cost_amount * share_counted as decimal(18, 2)) as cost_amount,
        cast((ordered_amount - cost_amount) * share_counted as decimal(18, 2)) as margin_amount,
        ordered_amount,
        document_unit_price,
        document_ordered_amount,
        cast(
            (document_ordered_amount + document_tax_amount) * share_counted as decimal(18, 2)
        ) as document_gross_amount
    from priced_lines
)

select * from final
where {{ only_changed('orders') }}
