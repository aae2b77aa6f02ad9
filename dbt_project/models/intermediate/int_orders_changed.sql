with rows_changed as (
    select * from {{ ref('int_rows_changed') }}
),

order_lines as (
    select * from {{ ref('stg_landing__order_lines') }}
),

changed_orders_and_lines as (
    select order_id
    from rows_changed
    where feed in ('orders', 'order_lines')
),

-- the weight of a line hangs on its product's tonnes per unit
orders_of_changed_products as (
    select order_id
    from order_lines
    where product_id in (select row_key from rows_changed where feed = 'products')
),

derived_from_changed_invoices as (
    select {{ derived_order_id('row_key') }} as order_id
    from rows_changed
    where feed = 'invoices' and {{ orders_are_derived() }}
)

select order_id from changed_orders_and_lines
union
select order_id from orders_of_changed_products
union
select order_id from derived_from_changed_invoices
