-- What the ladder calls outstanding is what the balances call bills not matured; those given back,
-- which the balances take off, are in no ladder.
with ladder as (
    select
        customer_id,
        sum(outstanding_amount) as outstanding_amount
    from {{ ref('bill_ladder') }}
    group by customer_id
),

given_back as (
    select
        customer_id,
        sum(payment_amount) as given_amount
    from {{ ref('fct_payments') }}
    where
        method in ('bank_acceptance', 'commercial_acceptance')
        and payment_amount < 0
        and coalesce(settled_on, dishonoured_on) > {{ as_of_date() }}
    group by customer_id
)

select
    balances.customer_id,
    balances.bills_outstanding_amount,
    ladder.outstanding_amount
from {{ ref('receivables_balances') }} as balances
left join ladder on balances.customer_id = ladder.customer_id
left join given_back on balances.customer_id = given_back.customer_id
where
    balances.bills_outstanding_amount
    <> coalesce(ladder.outstanding_amount, 0) + coalesce(given_back.given_amount, 0)
