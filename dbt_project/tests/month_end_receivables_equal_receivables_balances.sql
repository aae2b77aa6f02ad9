-- The month of the as-of date ends with what its open documents sum to: open, overdue, unapplied.
with current_months as (
    select
        customer_id,
        open_balance_amount,
        overdue_amount,
        unapplied_cash_amount
    from {{ ref('fct_receivables') }}
    where month_on = {{ month_start(as_of_date()) }}
),

balances as (
    select
        customer_id,
        sum(open_amount) as open_amount,
        sum(overdue_amount) as overdue_amount,
        sum(unapplied_cash_amount) as unapplied_cash_amount
    from {{ ref('receivables_balances') }}
    group by customer_id
)

select
    coalesce(current_months.customer_id, balances.customer_id) as customer_id,
    current_months.open_balance_amount,
    balances.open_amount,
    current_months.overdue_amount as month_overdue_amount,
    balances.overdue_amount
from current_months
full outer join balances on current_months.customer_id = balances.customer_id
where
    coalesce(current_months.open_balance_amount, 0) <> coalesce(balances.open_amount, 0)
    or coalesce(current_months.overdue_amount, 0) <> coalesce(balances.overdue_amount, 0)
    or coalesce(current_months.unapplied_cash_amount, 0)
    <> coalesce(balances.unapplied_cash_amount, 0)
