{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ empty_table() }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed('customer_id', changed_customers()) %}

-- What customer_marts.credit.allocation reads, in its order and with its numbers: only of the
-- customers whose ledger is computed again.
with invoices as (
    select * from {{ ref('fct_invoices') }}
    where {{ is_in_scope }}
),

payments as (
    select
        *,
        coalesce(order_id, reference) as order_key,
        coalesce(method in ('bank_acceptance', 'commercial_acceptance'), false) as is_bill
    from {{ ref('fct_payments') }}
    where {{ is_in_scope }}
),

all_invoices as (
    select * from {{ ref('fct_invoices') }}
),

all_orders as (
    select
        order_id,
        customer_id
    from {{ ref('fct_orders') }}
    union
    select
        order_id,
        customer_id
    from all_invoices
    where order_id is not null
),

documents as (
    select
        invoice_id as document_id,
        case when document_amount > 0 then 'invoice' else 'credit_note' end as kind,
        case when document_amount > 0 then 0 else 1 end as kind_no,
        customer_id,
        document_currency,
        invoiced_on as event_on,
        due_on,
        order_id as order_key,
        cast(null as {{ dbt.type_string() }}) as reference,
        abs(document_amount) as document_amount,
        abs(invoice_amount) as reporting_amount,
        false as is_bill,
        cast(null as date) as settled_on,
        cast(null as date) as cancelled_on
    from invoices
    where document_amount <> 0
    union all
    select
        payment_id as document_id,
        kind,
        case
            when kind = 'chargeback' then 4
            when kind = 'refund' then 5
            else 2
        end as kind_no,
        customer_id,
        document_currency,
        received_on as event_on,
        received_on as due_on,
        order_key,
        reference,
        abs(document_amount) as document_amount,
        abs(payment_amount) as reporting_amount,
        is_bill,
        settled_on,
        dishonoured_on as cancelled_on
    from payments
    where document_amount <> 0
    union all
    -- a bill dishonoured at once never pays; one to be dishonoured later still does
    select
        payment_id as document_id,
        'dishonour' as kind,
        3 as kind_no,
        customer_id,
        document_currency,
        dishonoured_on as event_on,
        dishonoured_on as due_on,
        cast(null as {{ dbt.type_string() }}) as order_key,
        cast(null as {{ dbt.type_string() }}) as reference,
        cast(0 as decimal(18, 2)) as document_amount,
        cast(0 as decimal(18, 2)) as reporting_amount,
        is_bill,
        cast(null as date) as settled_on,
        cast(null as date) as cancelled_on
    from payments
    where
        document_amount > 0
        and dishonoured_on > received_on
        and dishonoured_on <= {{ as_of_date() }}
),

-- the numbers of an account's events follow those of the accounts before it
accounts as (
    select
        customer_id,
        document_currency,
        row_number() over (order by customer_id, document_currency) - 1 as account_no,
        sum(count(*)) over (order by customer_id, document_currency) - count(*) as first_event_no
    from documents
    group by customer_id, document_currency
),

events as (
    select
        documents.*,
        accounts.account_no,
        accounts.first_event_no + row_number() over (
            partition by accounts.account_no
            order by documents.event_on, documents.kind_no, documents.document_id
        ) - 1 as event_no
    from documents
    inner join accounts
        on
            documents.customer_id = accounts.customer_id
            and documents.document_currency = accounts.document_currency
),

orders as (
    select
        account_no,
        order_key,
        has_invoice,
        row_number() over (order by account_no, order_key) - 1 as order_no
    from (
        select
            account_no,
            order_key,
            max(case when kind = 'invoice' then 1 else 0 end) = 1 as has_invoice
        from events
        where order_key is not null
        group by account_no, order_key
    ) as distinct_orders
),

invoice_events as (
    select
        document_id,
        account_no,
        event_no
    from events
    where kind = 'invoice'
),

payment_events as (
    select
        document_id,
        account_no,
        event_no
    from events
    where kind in ('receipt', 'prepayment')
),

-- the invoice of the same account that an event names
named_invoices as (
    select
        events.event_no,
        invoice_events.event_no as target_no
    from events
    inner join invoice_events
        on
            events.reference = invoice_events.document_id
            and events.account_no = invoice_events.account_no
),

-- the payment that a chargeback names, and the bill that a dishonour is of
named_payments as (
    select
        events.event_no,
        payment_events.event_no as target_no
    from events
    inner join payment_events
        on
            case when events.kind = 'dishonour' then events.document_id else events.reference end
            = payment_events.document_id
            and events.account_no = payment_events.account_no
    where events.kind in ('chargeback', 'dishonour')
),

-- what names no document of its own account may name another's
names_of_others as (
    select
        events.event_no,
        events.customer_id,
        events.order_key,
        events.reference
    from events
    left join named_invoices on events.event_no = named_invoices.event_no
    left join orders
        on
            events.account_no = orders.account_no
            and events.order_key = orders.order_key
            and orders.has_invoice
    where
        events.kind in ('credit_note', 'receipt', 'prepayment')
        and events.order_key is not null
        and named_invoices.event_no is null
        and orders.order_no is null
),

others_named as (
    select
        names_of_others.event_no,
        case
            when all_invoices.customer_id = names_of_others.customer_id then 'other_currency'
            else 'other_customer'
        end as reference_status
    from names_of_others
    inner join all_invoices on names_of_others.reference = all_invoices.invoice_id
    union all
    select
        names_of_others.event_no,
        case
            when all_orders.customer_id = names_of_others.customer_id then 'order'
            else 'other_customer'
        end as reference_status
    from names_of_others
    inner join all_orders on names_of_others.order_key = all_orders.order_id
),

-- of several the nearest: an order of its own, its own in another currency, another's
statuses as (
    select
        event_no,
        case
            when max(case when reference_status = 'order' then 1 end) = 1 then 'order'
            when max(case when reference_status = 'other_currency' then 1 end) = 1
                then 'other_currency'
            else 'other_customer'
        end as reference_status
    from others_named
    group by event_no
),

final as (
    select
        cast(events.event_no as integer) as event_no,
        cast(events.account_no as integer) as account_no,
        cast(events.kind_no as tinyint) as kind_no,
        cast(coalesce(orders.order_no, -1) as integer) as order_no,
        cast(coalesce(named_payments.target_no, named_invoices.target_no, -1) as integer)
            as target_no,
        events.kind,
        events.document_id,
        events.customer_id,
        events.order_key is not null as is_naming,
        case
            when events.kind not in ('credit_note', 'receipt', 'prepayment') then null
            when events.order_key is null then 'none'
            when named_invoices.event_no is not null then 'named'
            when orders.has_invoice then 'order'
            else coalesce(statuses.reference_status, 'unknown')
        end as reference_status,
        events.document_currency,
        events.event_on,
        events.due_on,
        events.settled_on,
        events.cancelled_on,
        events.is_bill,
        events.document_amount,
        events.reporting_amount
    from events
    left join orders
        on events.account_no = orders.account_no and events.order_key = orders.order_key
    left join named_invoices on events.event_no = named_invoices.event_no
    left join named_payments on events.event_no = named_payments.event_no
    left join statuses on events.event_no = statuses.event_no
)

select * from final
