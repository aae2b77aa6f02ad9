{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('invoice_id', changed_invoices()) }}",
) }}
-- depends_on: {{ ref('int_invoices_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with invoices as (
    select * from {{ ref('stg_landing__invoices') }}
    where
        invoiced_on <= {{ as_of_date() }}
        and {{ where_changed('invoice_id', changed_invoices()) }}
),

fx_days as (
    select * from {{ ref('stg_landing__fx_days') }}
),

orders as (
    select
        *,
        {{ derived_invoice_id('order_id') }} as invoice_id
    from {{ ref('fct_orders') }}
    where not is_cancelled and gross_amount > 0
),

customer_versions as (
    select * from {{ ref('int_customer_versions') }}
),

rated_invoices as (
    select
        invoices.*,
        {{ rate_into_reporting('invoices.currency', 'fx_days.rate') }} as fx_rate,
        case when invoices.kind = 'credit_note' then -1 else 1 end as kind_sign
    from invoices
    left join fx_days
        on invoices.currency = fx_days.currency and invoices.invoiced_on = fx_days.valid_on
),

landed_documents as (
    select
        invoice_id,
        order_id,
        customer_id,
        source_customer_id,
        invoiced_on,
        due_on,
        kind,
        currency as document_currency,
        fx_rate,
        document_amount * kind_sign as document_amount,
        {{ in_reporting_currency('document_amount', 'fx_rate') }} * kind_sign as invoice_amount,
        {{ in_reporting_currency('tax_amount', 'fx_rate') }} * kind_sign as tax_amount,
        is_disputed,
        false as is_derived
    from rated_invoices
),

-- without an invoice feed a company's orders are its claims, due by the customer's terms
derived_documents as (
    select
        invoice_id,
        order_id,
        customer_id,
        source_customer_id,
        ordered_on as invoiced_on,
        cast(null as date) as due_on,
        'invoice' as kind,
        document_currency,
        fx_rate,
        document_gross_amount as document_amount,
        gross_amount as invoice_amount,
        tax_amount,
        false as is_disputed,
        true as is_derived
    from orders
    where
        {{ invoices_are_derived() }}
        and {{ where_changed('invoice_id', changed_invoices()) }}
),

documents as (
    select * from landed_documents
    union all
    select * from derived_documents
),

-- the terms that held on the document's day; before anything is known, the first that are
terms_of_the_day as (
    select
        documents.invoice_id,
        customer_versions.payment_terms_days
    from documents
    inner join customer_versions on documents.customer_id = customer_versions.customer_id
    where
        documents.due_on is null
        and (
            customer_versions.version_no = 1
            or customer_versions.valid_from <= documents.invoiced_on
        )
        and (
            customer_versions.valid_to is null
            or customer_versions.valid_to > documents.invoiced_on
        )
    qualify row_number() over (
        partition by documents.invoice_id
        order by {{ order_of_records('customer_versions') }}
    ) = 1
),

final as (
    select
        documents.invoice_id,
        documents.order_id,
        documents.customer_id,
        documents.source_customer_id,
        documents.invoiced_on,
        -- nothing is due before it is asked for, whatever a document says that somebody waived
        greatest(
            documents.invoiced_on,
            coalesce(
                documents.due_on,
                {{ add_days(
                    'documents.invoiced_on', 'coalesce(terms_of_the_day.payment_terms_days, 0)'
                ) }}
            )
        ) as due_on,
        documents.due_on as stated_due_on,
        case when documents.due_on is null then 'terms' else 'invoice' end as due_on_source,
        documents.kind,
        {{ reporting_currency() }} as currency,
        documents.document_currency,
        documents.fx_rate,
        cast(documents.document_amount as decimal(18, 2)) as document_amount,
        cast(documents.invoice_amount as decimal(18, 2)) as invoice_amount,
        cast(documents.tax_amount as decimal(18, 2)) as tax_amount,
        documents.is_disputed,
        documents.is_derived
    from documents
    left join terms_of_the_day on documents.invoice_id = terms_of_the_day.invoice_id
)

select * from final
where {{ only_changed('invoices') }}
