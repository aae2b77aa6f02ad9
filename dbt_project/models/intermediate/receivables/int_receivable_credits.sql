{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_from_ledger_starts('credited_on') }}",
        "{{ delete_changed('credit_id', documents_run_again('credit_id')) }}",
    ],
) }}
-- depends_on: {{ ref('int_ledger_starts') }}
-- depends_on: {{ ref('stg_landing__run_context') }}

with events as (
    select * from {{ ref('int_receivable_events') }}
    where kind in ('credit_note', 'receipt', 'prepayment')
),

entries as (
    select * from {{ ref('int_receivable_entries') }}
    where basis in ('held', 'released')
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
        events.named_order_id,
        events.reference,
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
    left join holds on events.event_no = holds.credit_no
)

select * from final
where {{ only_changed('credits') }}
