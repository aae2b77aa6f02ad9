{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('customer_id', changed_customers()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

with events as (
    select * from {{ ref('int_receivable_events') }}
),

entries as (
    select * from {{ ref('int_receivable_entries') }}
),

credit_events as (
    select * from events
    where kind in ('credit_note', 'receipt', 'prepayment')
),

holds as (
    select
        credit_no,
        min(entry_on) filter (where basis = 'held') as held_from,
        min(entry_on) filter (where basis = 'released') as held_until
    from entries
    where basis in ('held', 'released')
    group by credit_no
),

final as (
    select
        credit_events.document_id as credit_id,
        credit_events.kind as credit_kind,
        credit_events.customer_id,
        credit_events.payment_id,
        credit_events.invoice_id as credit_note_id,
        credit_events.order_key as named_order_id,
        credit_events.reference,
        credit_events.reference_status,
        credit_events.event_on as credited_on,
        credit_events.settled_on,
        credit_events.cancelled_on,
        credit_events.is_bill,
        holds.held_from,
        holds.held_until,
        {{ reporting_currency() }} as currency,
        credit_events.document_currency,
        credit_events.document_amount,
        credit_events.reporting_amount as credit_amount
    from credit_events
    left join holds on credit_events.event_no = holds.credit_no
)

select * from final
