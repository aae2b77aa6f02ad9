{{ config(materialized='view') }}

-- A claim's balance changes in few months: the months between two changes are filled in, and only
-- where something is open.
with claims as (
    select * from {{ ref('int_receivable_claims') }}
    where claim_amount is not null
),

allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where allocated_amount is not null
),

write_offs as (
    select credit_id from {{ ref('write_offs') }}
    where {{ is_in_force() }}
),

changes as (
    select
        document_id,
        {{ month_start('claimed_on') }} as month_on,
        claim_amount as change_amount,
        cast(0 as decimal(18, 2)) as credited_amount,
        cast(0 as decimal(18, 2)) as written_off_amount
    from claims
    union all
    select
        allocations.document_id,
        {{ month_start('allocations.allocated_on') }} as month_on,
        -allocations.allocated_amount as change_amount,
        case
            when allocations.credit_kind = 'credit_note' and write_offs.credit_id is null
                then allocations.allocated_amount
            else 0
        end as credited_amount,
        case when write_offs.credit_id is not null then allocations.allocated_amount else 0 end
            as written_off_amount
    from allocations
    left join write_offs on allocations.credit_id = write_offs.credit_id
),

month_changes as (
    select
        document_id,
        month_on,
        {{ sum_amount('change_amount') }} as change_amount,
        {{ sum_amount('credited_amount') }} as credited_amount,
        {{ sum_amount('written_off_amount') }} as written_off_amount
    from changes
    group by document_id, month_on
),

balances as (
    select
        *,
        cast(
            sum(change_amount) over (
                partition by document_id order by month_on
                rows between unbounded preceding and current row
            ) as decimal(18, 2)
        ) as closing_amount,
        lead(month_on) over (partition by document_id order by month_on) as next_month_on
    from month_changes
),

filled_balances as (
    select
        *,
        cast({{ explode_months(
            'month_on',
            "case
                when closing_amount > 0
                    then coalesce(" ~ month_before('next_month_on') ~ ", "
                        ~ month_start(as_of_date()) ~ ")
                else month_on
            end"
        ) }} as date) as filled_month_on
    from balances
    -- what is paid in the month it is asked for is open at no month's end
    where closing_amount > 0 or closing_amount <> change_amount
),

claim_months as (
    select
        document_id,
        filled_month_on as month_on,
        case
            when filled_month_on = month_on then closing_amount - change_amount
            else closing_amount
        end as opening_amount,
        closing_amount,
        case when filled_month_on = month_on then credited_amount else 0 end as credited_amount,
        case when filled_month_on = month_on then written_off_amount else 0 end
            as written_off_amount
    from filled_balances
),

final as (
    select
        claim_months.document_id,
        claims.customer_id,
        claim_months.month_on,
        claims.due_on,
        claims.is_disputed,
        {{ month_start('claims.claimed_on') }} = claim_months.month_on as is_new,
        claim_months.opening_amount,
        claim_months.closing_amount,
        -- of what a month takes off, at most its credit notes and write-offs are no money
        least(
            greatest(claim_months.written_off_amount, 0),
            greatest(claim_months.opening_amount - claim_months.closing_amount, 0)
        ) as written_off_amount,
        greatest(claim_months.credited_amount, 0) as credit_note_amount
    from claim_months
    inner join claims on claim_months.document_id = claims.document_id
)

select * from final
