with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

open_documents as (
    select * from {{ ref('open_documents') }}
),

invoice_totals as (
    select
        customer_id,
        currency,
        sum(greatest(invoice_amount, 0)) as invoiced_amount,
        sum(greatest(-invoice_amount, 0)) as credit_note_amount
    from invoices
    group by customer_id, currency
),

payment_totals as (
    select
        customer_id,
        currency,
        sum(credited_amount) as credited_amount,
        sum(credited_amount) filter (where settled_on > {{ as_of_date() }})
            as bills_not_matured_amount
    from payments
    group by customer_id, currency
),

overdue_totals as (
    select
        customer_id,
        currency,
        count(*) as count_open_documents,
        sum(open_amount) filter (where overdue_days > 0) as overdue_amount,
        sum(open_amount) filter (where is_disputed) as disputed_amount,
        max(overdue_days) as oldest_overdue_days
    from open_documents
    group by customer_id, currency
),

balances as (
    select
        coalesce(invoice_totals.customer_id, payment_totals.customer_id) as customer_id,
        coalesce(invoice_totals.currency, payment_totals.currency) as currency,
        coalesce(invoice_totals.invoiced_amount, 0) as invoiced_amount,
        coalesce(invoice_totals.credit_note_amount, 0) as credit_note_amount,
        coalesce(payment_totals.credited_amount, 0) as credited_amount,
        coalesce(payment_totals.bills_not_matured_amount, 0) as bills_not_matured_amount
    from invoice_totals
    full outer join payment_totals
        on
            invoice_totals.customer_id = payment_totals.customer_id
            and invoice_totals.currency = payment_totals.currency
),

net_balances as (
    select
        *,
        invoiced_amount - credit_note_amount - credited_amount as balance_amount
    from balances
),

final as (
    select
        net_balances.customer_id,
        net_balances.currency,
        {{ as_of_date() }} as as_of,
        cast(net_balances.invoiced_amount as decimal(18, 2)) as invoiced_amount,
        cast(net_balances.credit_note_amount as decimal(18, 2)) as credit_note_amount,
        cast(net_balances.credited_amount as decimal(18, 2)) as credited_amount,
        cast(net_balances.balance_amount as decimal(18, 2)) as balance_amount,
        cast(greatest(net_balances.balance_amount, 0) as decimal(18, 2)) as open_amount,
        cast(greatest(-net_balances.balance_amount, 0) as decimal(18, 2)) as unapplied_cash_amount,
        cast(coalesce(overdue_totals.overdue_amount, 0) as decimal(18, 2)) as overdue_amount,
        cast(coalesce(overdue_totals.disputed_amount, 0) as decimal(18, 2)) as disputed_amount,
        cast(coalesce(overdue_totals.oldest_overdue_days, 0) as integer) as oldest_overdue_days,
        cast(coalesce(overdue_totals.count_open_documents, 0) as integer) as count_open_documents,
        cast(net_balances.bills_not_matured_amount as decimal(18, 2)) as bills_not_matured_amount
    from net_balances
    left join overdue_totals
        on
            net_balances.customer_id = overdue_totals.customer_id
            and net_balances.currency = overdue_totals.currency
)

select * from final
