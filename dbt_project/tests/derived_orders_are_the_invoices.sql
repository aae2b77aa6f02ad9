-- Of a company without an order feed, every invoice up to the as-of date is one order, with its
-- customer, date and amounts; a credit note is none.
with invoices as (
    select
        invoice_id,
        customer_id,
        invoiced_on,
        document_amount
    from {{ ref('stg_landing__invoices') }}
    where
        kind = 'invoice'
        and document_amount > 0
        and invoiced_on <= {{ as_of_date() }}
        and {{ orders_are_derived() }}
),

derived_orders as (
    select
        order_id,
        customer_id,
        ordered_on,
        document_gross_amount
    from {{ ref('fct_orders') }}
    where is_derived
)

select
    invoices.invoice_id,
    derived_orders.order_id
from invoices
full outer join derived_orders
    on
        {{ derived_order_id('invoices.invoice_id') }} = derived_orders.order_id
        and invoices.customer_id = derived_orders.customer_id
        and invoices.invoiced_on = derived_orders.ordered_on
        and invoices.document_amount = derived_orders.document_gross_amount
where invoices.invoice_id is null or derived_orders.order_id is null
