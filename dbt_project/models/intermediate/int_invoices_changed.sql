with rows_changed as (
    select * from {{ ref('int_rows_changed') }}
),

invoices as (
    select * from {{ ref('stg_landing__invoices') }}
),

orders as (
    select * from {{ ref('stg_landing__orders') }}
),

orders_changed as (
    select * from {{ ref('int_orders_changed') }}
),

-- the due date hangs on the customer's payment terms
changed_customers as (
    select customer_id
    from rows_changed
    where feed = 'customers'
),

invoices_of_changed_customers as (
    select invoice_id
    from invoices
    where
        due_on is null
        and customer_id in (select customer_id from changed_customers)
),

orders_to_derive_from as (
    select order_id from orders_changed
    union
    select order_id
    from orders
    where customer_id in (select customer_id from changed_customers)
)

select row_key as invoice_id from rows_changed where feed = 'invoices'
union
select invoice_id from invoices_of_changed_customers
union
select {{ derived_invoice_id('order_id') }} as invoice_id from orders_to_derive_from
