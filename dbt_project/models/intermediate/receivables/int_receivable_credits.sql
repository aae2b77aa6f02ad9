{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('customer_id', customers_with_movements()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed('customer_id', customers_with_movements()) %}

with events as (
    select * from {{ ref('int_receivable_events') }}
    where kind in ('credit_note', 'receipt', 'prepayment')
),

entries as (
    select * from {{ ref('int_receivable_entries') }}
    where basis in ('held', 'released')
),

invoices as (
    select * from {{ ref('fct_invoices') }}
    where document_amount < 0 and {{ is_in_scope }}
),

payments as (
    select * from {{ ref('fct_payments') }}
    where document_amount > 0 and {{ is_in_scope }}
),

named as (
    select
        'credit_note' as credit_kind,
        invoice_id as document_id,
        order_id as named_order_id,
        cast(null as {{ dbt.type_string() }}) as reference
    from invoices
    union all
    select
        kind as credit_kind,
        payment_id as document_id,
        coalesce(order_id, reference) as named_order_id,
        reference
    from payments
),

holds as (
    select
        credit_no,
        min(entry_on) filter (where basis = 'held') as held_from,
        min(entry_on) filter (where basis = 'released') as held_until
    from entries
    group by credit_no
),

final as (
    select
        {{ credit_id('events.kind', 'events.document_id') }} as credit_id,
        events.kind as credit_kind,
        events.customer_id,
        case when events.kind <> 'credit_note' then events.document_id end as payment_id,
        case when events.kind = 'credit_note' then events.document_id end as credit_note_id,
        named.named_order_id,
        named.reference,
        events.reference_status,
        events.event_on as credited_on,
        events.settled_on,
        events.cancelled_on,
        events.is_bill,
        holds.held_from,
        holds.held_until,
        {{ reporting_currency() }} as currency,
        events.document_currency,
        events.document_amount,
        events.reporting_amount as credit_amount
    from events
    inner join named
        on events.document_id = named.document_id and events.kind = named.credit_kind
    left join holds on events.event_no = holds.credit_no
)

select * from final
