-- On every day what is applied to a claim, and of a credit, lies between nothing and its amount;
-- a dishonoured bill counts nothing from its day. Where nothing was ever reversed
-- the last day is the highest.
with allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where {{ where_appended('ledger') }}
),

claims as (
    select * from {{ ref('int_receivable_claims') }}
),

credits as (
    select * from {{ ref('int_receivable_credits') }}
),

reversals as (
    select
        document_id,
        credit_id
    from allocations
    where basis = 'reversal'
),

claim_days as (
    select
        document_id,
        allocated_on,
        sum(sum(document_amount)) over (
            partition by document_id order by allocated_on
        ) as applied_amount
    from allocations
    where document_id in (select document_id from reversals)
    group by document_id, allocated_on
    union all
    select
        document_id,
        max(allocated_on) as allocated_on,
        sum(document_amount) as applied_amount
    from allocations
    where document_id not in (select document_id from reversals)
    group by document_id
),

credit_days as (
    select
        credit_id,
        allocated_on,
        sum(sum(document_amount)) over (
            partition by credit_id order by allocated_on
        ) as applied_amount
    from allocations
    where credit_id in (select credit_id from reversals)
    group by credit_id, allocated_on
    union all
    select
        credit_id,
        max(allocated_on) as allocated_on,
        sum(document_amount) as applied_amount
    from allocations
    where credit_id not in (select credit_id from reversals)
    group by credit_id
)

select
    claim_days.document_id,
    claim_days.allocated_on,
    claim_days.applied_amount
from claim_days
left join claims on claim_days.document_id = claims.document_id
where not coalesce(claim_days.applied_amount between 0 and claims.document_amount, false)
union all
select
    credit_days.credit_id as document_id,
    credit_days.allocated_on,
    credit_days.applied_amount
from credit_days
left join credits on credit_days.credit_id = credits.credit_id
where
    not coalesce(
        credit_days.applied_amount between 0 and case
            when credits.cancelled_on <= credit_days.allocated_on then 0
            else credits.document_amount
        end,
        false
    )
