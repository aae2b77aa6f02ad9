{{ config(materialized='view') }}

with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

-- what is given or taken back is a claim due on its day, until credits cover it
final as (
    select
        invoice_id as document_id,
        'invoice' as document_kind,
        customer_id,
        invoice_id,
        cast(null as {{ dbt.type_string() }}) as payment_id,
        order_id,
        invoiced_on as claimed_on,
        due_on,
        due_on_source,
        is_disputed,
        currency,
        document_currency,
        document_amount,
        invoice_amount as claim_amount
    from invoices
    where document_amount > 0
    union all
    select
        concat(kind, ':', payment_id) as document_id,
        kind as document_kind,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as invoice_id,
        payment_id,
        order_id,
        received_on as claimed_on,
        received_on as due_on,
        'payment' as due_on_source,
        false as is_disputed,
        currency,
        document_currency,
        cast(-document_amount as decimal(18, 2)) as document_amount,
        cast(-payment_amount as decimal(18, 2)) as claim_amount
    from payments
    where document_amount < 0
)

select * from final
