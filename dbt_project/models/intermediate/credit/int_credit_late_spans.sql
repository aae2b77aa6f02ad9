{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('customer_id', changed_customers()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed('customer_id', changed_customers()) %}

-- What is overdue comes and goes by spans; claims paid in time, most of them, have none.
with claims as (
    select
        *,
        {{ add_days('due_on', 1) }} as overdue_from
    from {{ ref('int_receivable_claims') }}
    -- a refund that no credit covers yet is no payment of the customer's that is late
    where document_kind = 'invoice' and claim_amount is not null and {{ is_in_scope }}
),

allocations as (
    select
        document_id,
        allocated_on,
        sum(allocated_amount) as allocated_amount
    from {{ ref('fct_payment_allocations') }}
    where allocated_on <= {{ as_of_date() }} and {{ is_in_scope }}
    group by document_id, allocated_on
),

-- one that is open on the first day overdue, or was opened again later by a reversal
late_documents as (
    select claims.document_id
    from claims
    left join allocations on claims.document_id = allocations.document_id
    where claims.overdue_from <= {{ as_of_date() }}
    group by claims.document_id, claims.claim_amount
    having
        coalesce(
            sum(allocations.allocated_amount) filter (
                where allocations.allocated_on <= claims.overdue_from
            ),
            0
        ) < claims.claim_amount
        or min(allocations.allocated_amount) < 0
),

late_claims as (
    select claims.* from claims
    inner join late_documents on claims.document_id = late_documents.document_id
),

changes as (
    select
        document_id,
        claimed_on as changed_on,
        claim_amount as change_amount
    from late_claims
    union all
    select
        late_claims.document_id,
        greatest(allocations.allocated_on, late_claims.claimed_on) as changed_on,
        -allocations.allocated_amount as change_amount
    from late_claims
    inner join allocations on late_claims.document_id = allocations.document_id
),

change_days as (
    select
        document_id,
        changed_on,
        sum(change_amount) as change_amount
    from changes
    group by document_id, changed_on
),

open_spans as (
    select
        document_id,
        changed_on,
        lead(changed_on) over by_day as next_changed_on,
        sum(change_amount) over by_day as open_amount
    from change_days
    window by_day as (partition by document_id order by changed_on)
),

final as (
    select
        late_claims.document_id,
        late_claims.document_kind,
        late_claims.customer_id,
        late_claims.due_on,
        greatest(open_spans.changed_on, late_claims.overdue_from) as late_from,
        open_spans.next_changed_on as late_until,
        cast(open_spans.open_amount as decimal(18, 2)) as open_amount
    from open_spans
    inner join late_claims on open_spans.document_id = late_claims.document_id
    where
        open_spans.open_amount > 0
        and coalesce(open_spans.next_changed_on > late_claims.overdue_from, true)
)

select * from final
where {{ only_changed('customers') }}
