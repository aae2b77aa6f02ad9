{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_changed_months_of_customers() }}",
        "{{ end_current_month() }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_partial = is_incremental() and not run_asks_for_rebuild() %}
{%- set first_month_on = 'changed.first_month_on' if is_partial else beginning_of_time() %}

-- What open_documents and open_credits say of the as-of date, for the end of every month. Every
-- entry of the ledger has its day, so each balance is a sum of dated changes. They are added up
-- once, not kind by kind and then together, which takes longer.
with claims as (
    select
        facts.document_id,
        facts.document_kind,
        facts.customer_id,
        facts.claimed_on,
        {{ add_days('facts.due_on', 1) }} as overdue_from,
        facts.is_disputed,
        facts.claim_amount,
        {{ first_month_on }} as first_month_on
    from {{ ref('int_receivable_claims') }} as facts
    {{ join_changed_customers('facts', is_partial) }}
),

credits as (
    select
        facts.credit_id,
        facts.credit_kind,
        facts.customer_id,
        facts.credited_on,
        case
            when facts.cancelled_on is not null
                then greatest(facts.cancelled_on, facts.credited_on)
        end as cancelled_on,
        facts.held_from,
        facts.held_until,
        facts.credit_amount,
        {{ first_month_on }} as first_month_on
    from {{ ref('int_receivable_credits') }} as facts
    {{ join_changed_customers('facts', is_partial) }}
),

ledger as (
    select
        facts.document_id,
        facts.credit_id,
        facts.customer_id,
        facts.allocated_on,
        facts.allocated_amount,
        facts.credit_amount,
        {{ first_month_on }} as first_month_on
    from {{ ref('fct_payment_allocations') }} as facts
    {{ join_changed_customers('facts', is_partial) }}
),

bills as (
    select
        facts.customer_id,
        facts.received_on,
        coalesce(facts.settled_on, facts.dishonoured_on) as ended_on,
        facts.payment_amount,
        {{ first_month_on }} as first_month_on
    from {{ ref('fct_payments') }} as facts
    {{ join_changed_customers('facts', is_partial) }}
    where facts.method in ('bank_acceptance', 'commercial_acceptance')
),

-- also what is worth nothing begins a customer's months
document_days as (
    select
        facts.customer_id,
        facts.invoiced_on as changed_on,
        {{ first_month_on }} as first_month_on
    from {{ ref('fct_invoices') }} as facts
    {{ join_changed_customers('facts', is_partial) }}
    where facts.invoice_amount = 0
    union all
    select
        facts.customer_id,
        facts.received_on as changed_on,
        {{ first_month_on }} as first_month_on
    from {{ ref('fct_payments') }} as facts
    {{ join_changed_customers('facts', is_partial) }}
    where facts.payment_amount = 0
),

allocations as (
    select
        ledger.credit_id,
        ledger.customer_id,
        ledger.allocated_on,
        claims.overdue_from,
        claims.is_disputed,
        ledger.allocated_amount,
        ledger.credit_amount,
        ledger.first_month_on
    from ledger
    left join claims on ledger.document_id = claims.document_id
),

-- while a prepayment is held, what it pays is taken from it; once released it is held no more
holds as (
    select * from credits
    where held_from is not null
),

allocated_holds as (
    select
        allocations.customer_id,
        allocations.allocated_on,
        holds.held_until,
        allocations.credit_amount,
        allocations.first_month_on
    from allocations
    inner join holds on allocations.credit_id = holds.credit_id
    where allocations.allocated_on < coalesce(holds.held_until, {{ add_days(as_of_date(), 1) }})
),

changes as (
    {{ dated_amounts('claims', 'claimed_on', {
        'invoiced': "case when document_kind = 'invoice' then claim_amount end",
        'credited': "case when document_kind <> 'invoice' then -claim_amount end",
        'open': 'claim_amount',
        'disputed': 'case when is_disputed then claim_amount end',
    }) }}
    union all
    {{ dated_amounts('claims', 'overdue_from', {'overdue': 'claim_amount'}) }}
    union all
    {{ dated_amounts('credits', 'credited_on', {
        'credit_note': "case when credit_kind = 'credit_note' then credit_amount end",
        'credited': "case when credit_kind <> 'credit_note' then credit_amount end",
        'unapplied': 'credit_amount',
    }) }}
    union all
    {{ dated_amounts('credits', 'cancelled_on', {
        'credited': '-credit_amount',
        'unapplied': '-credit_amount',
    }, 'cancelled_on is not null') }}
    union all
    {{ dated_amounts('allocations', 'allocated_on', {
        'exchange_difference': 'credit_amount - allocated_amount',
        'open': '-allocated_amount',
        'overdue': 'case when allocated_on >= overdue_from then -allocated_amount end',
        'disputed': 'case when is_disputed then -allocated_amount end',
        'unapplied': '-credit_amount',
    }) }}
    union all
    -- what is covered before it is overdue is not overdue from the day it would have been
    {{ dated_amounts(
        'allocations',
        'overdue_from',
        {'overdue': '-allocated_amount'},
        'allocated_on < overdue_from',
    ) }}
    union all
    {{ dated_amounts('holds', 'held_from', {'prepaid': 'credit_amount'}) }}
    union all
    {{ dated_amounts('holds', 'least(held_until, cancelled_on)', {
        'prepaid': '-credit_amount',
    }, 'held_until is not null or cancelled_on is not null') }}
    union all
    {{ dated_amounts('allocated_holds', 'allocated_on', {'prepaid': '-credit_amount'}) }}
    union all
    {{ dated_amounts(
        'allocated_holds', 'held_until', {'prepaid': 'credit_amount'}, 'held_until is not null'
    ) }}
    union all
    {{ dated_amounts('bills', 'received_on', {'bill': 'payment_amount'}) }}
    union all
    {{ dated_amounts(
        'bills', 'ended_on', {'bill': '-payment_amount'}, 'ended_on is not null'
    ) }}
    union all
    {{ dated_amounts('document_days', 'changed_on', {}) }}
),

months_of_change as (
    select
        customer_id,
        {{ month_start('changed_on') }} as changed_month_on,
        {{ month_start('changed_on') }} as first_filled_month_on,
        {{ sums_of_receivable_measures() }}
    from changes
    group by customer_id, {{ month_start('changed_on') }}
    {% if is_partial -%}
        union all
        -- the months go on from the balances of the last that stands
        select
            months.customer_id,
            months.month_on as changed_month_on,
            changed.first_month_on as first_filled_month_on,
            0 as invoiced_amount,
            0 as credit_note_amount,
            0 as credited_amount,
            0 as exchange_difference_amount,
            months.open_balance_amount as open_amount,
            months.overdue_amount,
            months.disputed_amount,
            months.unapplied_cash_amount + months.prepaid_amount as unapplied_amount,
            months.prepaid_amount,
            months.bills_outstanding_amount as bill_amount
        from {{ this }} as months
        inner join {{ ref('int_customers_changed') }} as changed
            on
                months.customer_id = changed.customer_id
                and months.month_on = {{ add_months('changed.first_month_on', -1) }}
    {%- endif %}
),

-- up to the end of the month; so it stays until the next month of change
totals as (
    select
        customer_id,
        changed_month_on,
        first_filled_month_on,
        lead(changed_month_on) over (
            partition by customer_id
            order by changed_month_on
        ) as next_changed_month_on,
        invoiced_amount,
        credit_note_amount,
        credited_amount,
        exchange_difference_amount,
        sum(open_amount) over up_to_month as open_total_amount,
        sum(overdue_amount) over up_to_month as overdue_total_amount,
        sum(disputed_amount) over up_to_month as disputed_total_amount,
        sum(unapplied_amount) over up_to_month as unapplied_total_amount,
        sum(prepaid_amount) over up_to_month as prepaid_total_amount,
        sum(bill_amount) over up_to_month as bill_total_amount
    from months_of_change
    window up_to_month as (
        partition by customer_id
        order by changed_month_on
        rows between unbounded preceding and current row
    )
),

filled_months as (
    select
        *,
        coalesce(
            {{ add_months('next_changed_month_on', -1) }}, {{ month_start(as_of_date()) }}
        ) as last_filled_month_on
    from totals
),

customer_months as (
    select
        *,
        cast(
            {{ explode_months('first_filled_month_on', 'last_filled_month_on') }} as date
        ) as month_on
    from filled_months
    where first_filled_month_on <= last_filled_month_on
),

month_ends as (
    select
        *,
        least(
            {{ add_days(add_months('month_on', 1), -1) }}, {{ as_of_date() }}
        ) as month_end_on,
        month_on = changed_month_on as has_changes
    from customer_months
),

final as (
    select
        customer_id,
        month_on,
        month_end_on,
        {{ reporting_currency() }} as currency,
        {{ or_zero('case when has_changes then invoiced_amount end') }} as invoiced_amount,
        {{ or_zero('case when has_changes then credit_note_amount end') }} as credit_note_amount,
        {{ or_zero('case when has_changes then credited_amount end') }} as credited_amount,
        {{ or_zero('case when has_changes then exchange_difference_amount end') }}
            as exchange_difference_amount,
        -- what is held is a part of what is not applied
        cast(open_total_amount - unapplied_total_amount as decimal(18, 2)) as balance_amount,
        cast(open_total_amount as decimal(18, 2)) as open_balance_amount,
        cast(unapplied_total_amount - prepaid_total_amount as decimal(18, 2))
            as unapplied_cash_amount,
        cast(prepaid_total_amount as decimal(18, 2)) as prepaid_amount,
        cast(overdue_total_amount as decimal(18, 2)) as overdue_amount,
        cast(open_total_amount - overdue_total_amount as decimal(18, 2)) as not_due_amount,
        cast(disputed_total_amount as decimal(18, 2)) as disputed_amount,
        cast(bill_total_amount as decimal(18, 2)) as bills_outstanding_amount
    from month_ends
)

select * from final
where {{ only_changed('customers') }}
