-- On every day what is applied to a claim, and of a credit, lies between nothing and its amount;
-- a dishonoured bill counts nothing from its day. Where nothing was ever reversed
-- the last day is the highest. Nothing is applied before the day of the claim, or of the credit.
with rows_of_claims as (
    select * from {{ ref('fct_payment_allocations') }}
    where {{ where_appended('claims') }}
),

rows_of_credits as (
    select * from {{ ref('fct_payment_allocations') }}
    where {{ where_appended('credits') }}
),

claims as (
    select * from {{ ref('int_receivable_claims') }}
),

credits as (
    select * from {{ ref('int_receivable_credits') }}
),

reversed_claims as (
    select document_id from rows_of_claims
    where basis = 'reversal'
),

reversed_credits as (
    select credit_id from rows_of_credits
    where basis = 'reversal'
),

claim_days as (
    select
        document_id,
        allocated_on as first_allocated_on,
        allocated_on,
        sum(sum(document_amount)) over (
            partition by document_id order by allocated_on
        ) as applied_amount
    from rows_of_claims
    where document_id in (select document_id from reversed_claims)
    group by document_id, allocated_on
    union all
    select
        document_id,
        min(allocated_on) as first_allocated_on,
        max(allocated_on) as allocated_on,
        sum(document_amount) as applied_amount
    from rows_of_claims
    where document_id not in (select document_id from reversed_claims)
    group by document_id
),

credit_days as (
    select
        credit_id,
        allocated_on as first_allocated_on,
        allocated_on,
        sum(sum(document_amount)) over (
            partition by credit_id order by allocated_on
        ) as applied_amount
    from rows_of_credits
    where credit_id in (select credit_id from reversed_credits)
    group by credit_id, allocated_on
    union all
    select
        credit_id,
        min(allocated_on) as first_allocated_on,
        max(allocated_on) as allocated_on,
        sum(document_amount) as applied_amount
    from rows_of_credits
    where credit_id not in (select credit_id from reversed_credits)
    group by credit_id
)

select
    claim_days.document_id,
    claim_days.allocated_on,
    claim_days.applied_amount
from claim_days
left join claims on claim_days.document_id = claims.document_id
where
    not coalesce(
        claim_days.applied_amount between 0 and claims.document_amount
        and claim_days.first_allocated_on >= claims.claimed_on,
        false
    )
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
        end
        and credit_days.first_allocated_on >= credits.credited_on,
        false
    )
