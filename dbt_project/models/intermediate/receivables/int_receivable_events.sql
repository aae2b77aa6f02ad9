{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ empty_table() }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_ledger_openings') }}

{%- set is_partial = is_incremental() and not run_asks_for_rebuild() %}
{%- set is_in_scope = where_changed('customer_id', customers_with_movements()) %}
{%- set opened_anew =
    'true as is_new, cast(null as decimal(18, 2)) as open_amount, '
    ~ 'cast(null as bigint) as count_entries'
%}

-- What customer_marts.credit.allocation reads, in its order and with its numbers: only of the
-- customers whose ledger is computed again, from their day on, with what of the past it goes on
-- from. A book has millions of them, so what is sorted carries no text but those that names are
-- resolved by, and each text is looked up once.
with ledger_starts as (
    select * from {{ ref('int_ledger_starts') }}
),

invoices as (
    select
        invoice_id as document_id,
        case when document_amount > 0 then 0 else 1 end as kind_no,
        false as is_prepayment,
        customer_id,
        document_currency,
        invoiced_on as event_on,
        due_on,
        order_id as order_key,
        cast(null as {{ dbt.type_string() }}) as reference,
        cast(abs(document_amount) as decimal(18, 2)) as document_amount,
        cast(abs(invoice_amount) as decimal(18, 2)) as reporting_amount,
        false as is_bill,
        cast(null as date) as settled_on,
        cast(null as date) as cancelled_on
    from {{ ref('fct_invoices') }}
    where document_amount <> 0 and {{ is_in_scope }}
),

payments as (
    select
        payment_id as document_id,
        case
            when kind = 'chargeback' then 4
            when kind = 'refund' then 5
            else 2
        end as kind_no,
        kind = 'prepayment' as is_prepayment,
        customer_id,
        document_currency,
        received_on as event_on,
        received_on as due_on,
        coalesce(order_id, reference) as order_key,
        reference,
        cast(abs(document_amount) as decimal(18, 2)) as document_amount,
        cast(abs(payment_amount) as decimal(18, 2)) as reporting_amount,
        coalesce(method in ('bank_acceptance', 'commercial_acceptance'), false) as is_bill,
        settled_on,
        dishonoured_on as cancelled_on
    from {{ ref('fct_payments') }}
    where document_amount <> 0 and {{ is_in_scope }}
),

{% if is_partial -%}
    openings as (
        select * from {{ ref('int_ledger_openings') }}
    ),

    started_invoices as (
        select
            invoices.*,
            invoices.event_on >= ledger_starts.from_on as is_new,
            openings.open_amount,
            openings.count_entries
        from invoices
        inner join ledger_starts on invoices.customer_id = ledger_starts.customer_id
        left join openings
            on
                openings.is_claim = (invoices.kind_no = 0)
                and openings.document_id = case
                    when invoices.kind_no = 0 then invoices.document_id
                    else {{ credit_id("'credit_note'", 'invoices.document_id') }}
                end
    ),

    -- two ways in, as few of the payments before are open: by an `or` all would be read
    started_payments as (
        select
            payments.*,
            {{ opened_anew }}
        from payments
        inner join ledger_starts
            on
                payments.customer_id = ledger_starts.customer_id
                and payments.event_on >= ledger_starts.from_on
        union all
        select
            payments.*,
            false as is_new,
            openings.open_amount,
            openings.count_entries
        from payments
        inner join openings
            on payments.document_id = openings.document_id and not openings.is_claim
    ),
{%- else %}
    -- a first release and a rebuild start everybody at the beginning
    {% for documents in ['invoices', 'payments'] -%}
        started_{{ documents }} as (
            select
                *,
                {{ opened_anew }}
            from {{ documents }}
        ),
    {% endfor -%}
{%- endif %}

-- who starts later may name invoices that were settled before
later_starts as (
    select customer_id from ledger_starts
    where from_on > {{ beginning_of_time() }}
),

names as (
    select order_key as named_key from started_payments
    where customer_id in (select customer_id from later_starts)
    union
    select reference as named_key from started_payments
    where customer_id in (select customer_id from later_starts)
    union
    select order_key as named_key from started_invoices
    where
        kind_no = 1
        and (is_new or open_amount is not null)
        and customer_id in (select customer_id from later_starts)
),

started_documents as (
    select * from started_payments
    union all
    select * from started_invoices
    where
        is_new
        or open_amount is not null
        or (
            kind_no = 0
            and (
                document_id in (select named_key from names)
                or order_key in (select named_key from names)
            )
        )
),

standing_documents as (
    select
        document_id,
        kind_no,
        is_prepayment,
        customer_id,
        document_currency,
        event_on,
        due_on,
        order_key,
        reference,
        document_amount,
        reporting_amount,
        is_bill,
        settled_on,
        cancelled_on,
        case when is_new then 0 else document_amount - coalesce(open_amount, 0) end
            as settled_amount,
        case when is_new then 0 else coalesce(count_entries, 0) end as count_entries
    from started_documents
),

-- a bill dishonoured at once never pays; one to be dishonoured later still does
dishonours as (
    select
        document_id,
        3 as kind_no,
        false as is_prepayment,
        customer_id,
        document_currency,
        cancelled_on as event_on,
        cancelled_on as due_on,
        cast(null as {{ dbt.type_string() }}) as order_key,
        -- the bill that it is of
        document_id as reference,
        cast(0 as decimal(18, 2)) as document_amount,
        cast(0 as decimal(18, 2)) as reporting_amount,
        is_bill,
        cast(null as date) as settled_on,
        cast(null as date) as cancelled_on,
        0 as settled_amount,
        0 as count_entries
    from started_payments
    where
        kind_no = 2
        and cancelled_on > event_on
        and cancelled_on <= {{ as_of_date() }}
),

documents as (
    select * from standing_documents
    union all
    select * from dishonours
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
        accounts.account_no,
        accounts.first_event_no + row_number() over (
            partition by accounts.account_no
            order by documents.event_on, documents.kind_no, documents.document_id
        ) - 1 as event_no,
        documents.*
    from documents
    inner join accounts
        on
            documents.customer_id = accounts.customer_id
            and documents.document_currency = accounts.document_currency
),

-- an order without a claim has nothing to be paid: no credit can tell that it is known
orders as (
    select
        account_no,
        order_key,
        has_invoice,
        row_number() over (order by first_event_no) - 1 as order_no
    from (
        select
            account_no,
            order_key,
            min(event_no) as first_event_no,
            min(kind_no) = 0 as has_invoice
        from events
        where kind_no in (0, 4, 5) and order_key is not null
        group by account_no, order_key
    ) as orders_of_claims
),

invoice_events as (
    select
        document_id,
        account_no,
        event_no
    from events
    where kind_no = 0
),

-- the payment that a chargeback names, and the bill that a dishonour is of
named_payments as (
    select
        naming.event_no,
        payment_events.event_no as target_no
    from events as payment_events
    inner join events as naming
        on
            payment_events.document_id = naming.reference
            and payment_events.account_no = naming.account_no
    where payment_events.kind_no = 2 and naming.kind_no in (3, 4)
),

-- what names no document of its own account may name another's. That is asked of the events here
-- and in `resolved`: read by both, it would be kept whole, all its columns for every event
names_of_others as (
    select
        events.event_no,
        events.customer_id,
        events.order_key,
        events.reference
    from events
    left join invoice_events
        on
            events.reference = invoice_events.document_id
            and events.account_no = invoice_events.account_no
            and events.kind_no = 2
    left join orders
        on
            events.account_no = orders.account_no
            and events.order_key = orders.order_key
            and orders.has_invoice
    where
        events.kind_no in (1, 2)
        and events.order_key is not null
        and invoice_events.event_no is null
        and orders.order_no is null
),

others_named as (
    select
        names_of_others.event_no,
        case
            when invoices.customer_id = names_of_others.customer_id then 'other_currency'
            else 'other_customer'
        end as reference_status
    from {{ ref('fct_invoices') }} as invoices
    inner join names_of_others on invoices.invoice_id = names_of_others.reference
    union all
    select
        names_of_others.event_no,
        case
            when orders.customer_id = names_of_others.customer_id then 'order'
            else 'other_customer'
        end as reference_status
    from {{ ref('fct_orders') }} as orders
    inner join names_of_others on orders.order_id = names_of_others.order_key
    union all
    select
        names_of_others.event_no,
        case
            when invoices.customer_id = names_of_others.customer_id then 'order'
            else 'other_customer'
        end as reference_status
    from {{ ref('fct_invoices') }} as invoices
    inner join names_of_others on invoices.order_id = names_of_others.order_key
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

resolved as (
    select
        events.*,
        orders.order_no,
        coalesce(orders.has_invoice, false) as names_order,
        named_invoices.event_no as invoice_no
    from events
    left join orders
        on events.account_no = orders.account_no and events.order_key = orders.order_key
    left join invoice_events as named_invoices
        on
            events.reference = named_invoices.document_id
            and events.account_no = named_invoices.account_no
            and events.kind_no in (2, 4, 5)
),

final as (
    select
        cast(resolved.event_no as integer) as event_no,
        cast(resolved.account_no as integer) as account_no,
        cast(resolved.kind_no as tinyint) as kind_no,
        cast(coalesce(resolved.order_no, -1) as integer) as order_no,
        cast(coalesce(named_payments.target_no, resolved.invoice_no, -1) as integer) as target_no,
        case resolved.kind_no
            when 0 then 'invoice'
            when 1 then 'credit_note'
            when 2 then case when resolved.is_prepayment then 'prepayment' else 'receipt' end
            when 3 then 'dishonour'
            when 4 then 'chargeback'
            else 'refund'
        end as kind,
        resolved.document_id,
        resolved.customer_id,
        resolved.order_key is not null as is_naming,
        case when resolved.kind_no in (1, 2) then resolved.order_key end as named_order_id,
        case when resolved.kind_no = 2 then resolved.reference end as reference,
        case
            when resolved.kind_no not in (1, 2) then null
            when resolved.order_key is null then 'none'
            when resolved.invoice_no is not null then 'named'
            when resolved.names_order then 'order'
            else coalesce(statuses.reference_status, 'unknown')
        end as reference_status,
        resolved.document_currency,
        resolved.event_on,
        resolved.due_on,
        resolved.settled_on,
        resolved.cancelled_on,
        resolved.is_bill,
        resolved.document_amount,
        resolved.reporting_amount,
        cast(resolved.settled_amount as decimal(18, 2)) as settled_amount,
        cast(resolved.count_entries as integer) as count_entries
    from resolved
    left join named_payments on resolved.event_no = named_payments.event_no
    left join statuses on resolved.event_no = statuses.event_no
)

select * from final
