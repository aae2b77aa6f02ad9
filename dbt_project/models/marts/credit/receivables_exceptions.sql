{%- set values = {
    'document': 'exceptions.document_id',
    'reference': 'exceptions.reference',
    'amount': as_money('exceptions.document_amount'),
    'currency': 'exceptions.document_currency',
    'date': 'exceptions.document_on',
    'other_date': 'exceptions.other_on',
} %}

with credits as (
    select * from {{ ref('int_receivable_credits') }}
    -- a bill that was refused pays nothing, whatever it names
    where
        reference_status in ('unknown', 'other_customer', 'other_currency')
        and coalesce(cancelled_on > {{ as_of_date() }}, true)
),

invoices as (
    select * from {{ ref('fct_invoices') }}
    where document_amount > 0 and stated_due_on < invoiced_on
),

bills as (
    select * from {{ ref('int_bills') }}
    where ladder_status = 'matured_without_status' or has_no_maturity
),

open_documents as (
    select * from {{ ref('open_documents') }}
    where document_kind <> 'invoice'
),

receivables_balances as (
    select * from {{ ref('receivables_balances') }}
    where unapplied_cash_amount > open_amount
),

exception_texts as (
    select * from {{ ref('receivables_exception_texts') }}
    where {{ is_in_force() }}
),

exceptions as (
    select
        concat('reference_', reference_status) as exception_code,
        credit_id as document_id,
        credit_kind as document_kind,
        customer_id,
        credited_on as document_on,
        cast(null as date) as other_on,
        coalesce(reference, named_order_id) as reference,
        document_currency,
        document_amount,
        credit_amount as amount
    from credits
    union all
    select
        'due_before_invoice' as exception_code,
        invoice_id as document_id,
        'invoice' as document_kind,
        customer_id,
        invoiced_on as document_on,
        stated_due_on as other_on,
        cast(null as {{ dbt.type_string() }}) as reference,
        document_currency,
        document_amount,
        invoice_amount as amount
    from invoices
    union all
    select
        case when has_no_maturity then 'bill_without_maturity' else ladder_status end
            as exception_code,
        payment_id as document_id,
        'bill' as document_kind,
        customer_id,
        received_on as document_on,
        matures_on as other_on,
        bill_no as reference,
        document_currency,
        document_bill_amount as document_amount,
        bill_amount as amount
    from bills
    union all
    -- given or taken back above all that came in
    select
        concat(document_kind, '_not_covered') as exception_code,
        document_id,
        document_kind,
        customer_id,
        invoiced_on as document_on,
        cast(null as date) as other_on,
        cast(null as {{ dbt.type_string() }}) as reference,
        document_currency,
        document_open_amount as document_amount,
        open_amount as amount
    from open_documents
    union all
    select
        'credit_balance' as exception_code,
        customer_id as document_id,
        'account' as document_kind,
        customer_id,
        as_of as document_on,
        cast(null as date) as other_on,
        cast(null as {{ dbt.type_string() }}) as reference,
        currency as document_currency,
        unapplied_cash_amount as document_amount,
        unapplied_cash_amount as amount
    from receivables_balances
),

final as (
    select
        exceptions.document_id,
        exceptions.exception_code,
        {{ as_of_date() }} as as_of,
        exceptions.customer_id,
        exceptions.document_kind,
        exceptions.document_on,
        exception_texts.severity,
        exception_texts.label_en,
        exception_texts.label_zh,
        exceptions.reference,
        {{ reporting_currency() }} as currency,
        exceptions.amount,
        exceptions.document_currency,
        exceptions.document_amount,
        {{ fill_in('exception_texts.evidence_en', values) }} as evidence_en,
        exception_texts.treatment_en,
        exception_texts.step_en,
        {{ fill_in('exception_texts.evidence_zh', values) }} as evidence_zh,
        exception_texts.treatment_zh,
        exception_texts.step_zh
    from exceptions
    left join exception_texts on exceptions.exception_code = exception_texts.exception_code
)

select * from final
