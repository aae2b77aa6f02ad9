with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where exchange_difference_amount <> 0
),

open_documents as (
    select * from {{ ref('open_documents') }}
),

open_credits as (
    select * from {{ ref('open_credits') }}
),

invoice_totals as (
    select
        customer_id,
        sum(greatest(invoice_amount, 0)) as invoiced_amount,
        sum(greatest(-invoice_amount, 0)) as credit_note_amount
    from invoices
    group by customer_id
),

payment_totals as (
    select
        customer_id,
        sum(credited_amount) as credited_amount,
        sum(payment_amount) filter (
            where
            method in ('bank_acceptance', 'commercial_acceptance')
            and coalesce(settled_on, dishonoured_on) > {{ as_of_date() }}
        ) as bills_outstanding_amount
    from payments
    group by customer_id
),

exchange_totals as (
    select
        customer_id,
        sum(exchange_difference_amount) as exchange_difference_amount
    from allocations
    group by customer_id
),

document_totals as (
    select
        customer_id,
        sum(open_amount) as open_amount,
        count(*) as count_open_documents,
        count(*) filter (where due_on_source = 'terms') as count_due_by_terms,
        sum(open_amount) filter (where overdue_days > 0) as overdue_amount,
        sum(open_amount) filter (where is_disputed) as disputed_amount,
        sum(open_amount) filter (where is_statutory_overdue) as statutory_overdue_amount,
        count(*) filter (where statutory_status = 'buyer_size_unknown') as count_size_unknown,
        max(overdue_days) as oldest_overdue_days
    from open_documents
    group by customer_id
),

credit_totals as (
    select
        customer_id,
        sum(unapplied_amount) filter (where credit_status <> 'prepayment_held')
            as unapplied_amount,
        sum(unapplied_amount) filter (where credit_status = 'prepayment_held')
            as prepaid_amount
    from open_credits
    group by customer_id
),

final as (
    select
        coalesce(invoice_totals.customer_id, payment_totals.customer_id) as customer_id,
        {{ reporting_currency() }} as currency,
        {{ as_of_date() }} as as_of,
        {{ or_zero('invoice_totals.invoiced_amount') }} as invoiced_amount,
        {{ or_zero('invoice_totals.credit_note_amount') }} as credit_note_amount,
        {{ or_zero('payment_totals.credited_amount') }} as credited_amount,
        cast(
            coalesce(document_totals.open_amount, 0)
            - coalesce(credit_totals.unapplied_amount, 0)
            - coalesce(credit_totals.prepaid_amount, 0)
            as decimal(18, 2)
        ) as balance_amount,
        {{ or_zero('document_totals.open_amount') }} as open_amount,
        {{ or_zero('credit_totals.unapplied_amount') }} as unapplied_cash_amount,
        {{ or_zero('credit_totals.prepaid_amount') }} as prepaid_amount,
        {{ or_zero('exchange_totals.exchange_difference_amount') }}
            as exchange_difference_amount,
        {{ or_zero('document_totals.overdue_amount') }} as overdue_amount,
        {{ or_zero('document_totals.disputed_amount') }} as disputed_amount,
        case
            when {{ seller_is_large() }} then null
            when
                document_totals.statutory_overdue_amount > 0
                or coalesce(document_totals.count_size_unknown, 0) = 0
                then {{ or_zero('document_totals.statutory_overdue_amount') }}
        end as statutory_overdue_amount,
        cast(coalesce(document_totals.oldest_overdue_days, 0) as integer) as oldest_overdue_days,
        cast(coalesce(document_totals.count_open_documents, 0) as integer)
            as count_open_documents,
        cast(coalesce(document_totals.count_due_by_terms, 0) as integer) as count_due_by_terms,
        {{ or_zero('payment_totals.bills_outstanding_amount') }} as bills_outstanding_amount
    from invoice_totals
    full outer join payment_totals on invoice_totals.customer_id = payment_totals.customer_id
    left join exchange_totals
        on
            coalesce(invoice_totals.customer_id, payment_totals.customer_id)
            = exchange_totals.customer_id
    left join document_totals
        on
            coalesce(invoice_totals.customer_id, payment_totals.customer_id)
            = document_totals.customer_id
    left join credit_totals
        on
            coalesce(invoice_totals.customer_id, payment_totals.customer_id)
            = credit_totals.customer_id
)

select * from final
