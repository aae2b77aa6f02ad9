{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_from_ledger_starts('allocated_on') }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_ledger_starts') }}

-- The events and the entries are those of the customers computed again, and of nobody else; what
-- was applied before their day stands.
with entries as (
    select * from {{ ref('int_receivable_entries') }}
    where basis not in ('held', 'released')
),

events as (
    select * from {{ ref('int_receivable_events') }}
),

claims as (
    select
        event_no,
        {{ claim_id('kind', 'document_id') }} as document_id,
        kind,
        customer_id,
        case when kind = 'invoice' then document_id end as invoice_id,
        reporting_amount
    from events
    where kind in ('invoice', 'refund', 'chargeback')
),

credits as (
    select
        event_no,
        {{ credit_id('kind', 'document_id') }} as document_id,
        kind,
        case when kind <> 'credit_note' then document_id end as payment_id,
        reference_status,
        settled_on,
        is_bill,
        document_currency,
        reporting_amount
    from events
    where kind in ('credit_note', 'receipt', 'prepayment')
),

final as (
    select
        credits.document_id as credit_id,
        entries.entry_no,
        claims.customer_id,
        claims.document_id,
        claims.kind as document_kind,
        credits.kind as credit_kind,
        credits.payment_id,
        claims.invoice_id,
        entries.entry_on as allocated_on,
        case
            when not credits.is_bill then entries.entry_on
            -- a bill that is to be dishonoured never counts as paid
            when credits.settled_on <= {{ as_of_date() }}
                then greatest(credits.settled_on, entries.entry_on)
        end as paid_on,
        entries.basis,
        entries.reversal_reason,
        credits.reference_status,
        credits.is_bill,
        {{ reporting_currency() }} as currency,
        credits.document_currency,
        entries.document_amount,
        case when claims.reporting_amount is not null then entries.allocated_amount end
            as allocated_amount,
        case when credits.reporting_amount is not null then entries.credit_amount end
            as credit_amount,
        case
            when claims.reporting_amount is not null and credits.reporting_amount is not null
                then cast(entries.credit_amount - entries.allocated_amount as decimal(18, 2))
        end as exchange_difference_amount
    from entries
    inner join claims on entries.claim_no = claims.event_no
    inner join credits on entries.credit_no = credits.event_no
)

select * from final
where
    {{ only_changed('claims') }}
    and {{ only_changed('credits') }}
    and {{ only_from_ledger_starts() }}
