{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_changed('customer_id', changed_customers(), as_of_month_moved()) }}",
        "{{ end_current_month() }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed('customer_id', changed_customers(), as_of_month_moved()) %}

-- What open_documents says of the as-of date, for the end of every month. The credits that name a
-- claim pay it, the others pay what is left of the claims in the order of their due dates. So, of
-- what counts up to a day, only sums are needed: credits, claims overdue, and the part of all
-- claims and of those overdue that is paid by name. Each of these is a sum of dated changes.
with invoices as (
    select * from {{ ref('fct_invoices') }}
    where {{ is_in_scope }}
),

payments as (
    select * from {{ ref('fct_payments') }}
    where {{ is_in_scope }}
),

claims as (
    select
        invoice_id as document_id,
        order_id,
        customer_id,
        invoiced_on,
        due_on,
        greatest({{ add_days('due_on', 1) }}, invoiced_on) as overdue_from,
        invoice_amount as claim_amount
    from invoices
    where invoice_amount > 0
),

-- a bill that was to be dishonoured pays until that day; one dishonoured at once never pays
paying_payments as (
    select * from payments
    where coalesce(dishonoured_on > received_on, true)
),

credits as (
    select
        customer_id,
        invoiced_on as credited_on,
        'credit_note' as kind,
        order_id,
        cast(null as {{ dbt.type_string() }}) as reference,
        -invoice_amount as credit_amount
    from invoices
    where invoice_amount < 0
    union all
    select
        customer_id,
        received_on as credited_on,
        case when payment_amount < 0 then 'refund' else 'payment' end as kind,
        order_id,
        reference,
        payment_amount as credit_amount
    from paying_payments
    union all
    select
        customer_id,
        dishonoured_on as credited_on,
        'dishonour' as kind,
        order_id,
        reference,
        -payment_amount as credit_amount
    from paying_payments
    where dishonoured_on <= {{ as_of_date() }}
),

{{ named_changes_ctes() }},

named_days as (
    select
        document_id,
        named_on,
        sum(named_change_amount) as named_change_amount
    from named_changes
    group by document_id, named_on
),

named_totals as (
    select
        claims.customer_id,
        claims.overdue_from,
        claims.claim_amount,
        named_days.named_on,
        named_days.named_change_amount,
        sum(named_days.named_change_amount) over (
            partition by named_days.document_id
            order by named_days.named_on
        ) as named_total_amount
    from named_days
    inner join claims on named_days.document_id = claims.document_id
),

-- a claim is paid by name up to its amount; what goes beyond is shared out like the rest
paid_by_name as (
    select
        customer_id,
        named_on,
        overdue_from,
        cast(
            least(claim_amount, greatest(named_total_amount, 0))
            - least(claim_amount, greatest(named_total_amount - named_change_amount, 0))
            as decimal(18, 2)
        ) as named_amount
    from named_totals
),

bills as (
    select
        customer_id,
        received_on,
        coalesce(settled_on, dishonoured_on) as ended_on,
        payment_amount
    from payments
    where method in ('bank_acceptance', 'commercial_acceptance')
),

changes as (
    select
        customer_id,
        invoiced_on as changed_on,
        'claim' as kind,
        invoice_amount as change_amount
    from invoices
    where invoice_amount >= 0
    union all
    select
        customer_id,
        overdue_from as changed_on,
        'overdue_claim' as kind,
        claim_amount as change_amount
    from claims
    union all
    select
        customer_id,
        credited_on as changed_on,
        kind,
        credit_amount as change_amount
    from credits
    union all
    select
        customer_id,
        named_on as changed_on,
        'named' as kind,
        named_amount as change_amount
    from paid_by_name
    union all
    select
        customer_id,
        greatest(named_on, overdue_from) as changed_on,
        'overdue_named' as kind,
        named_amount as change_amount
    from paid_by_name
    union all
    select
        customer_id,
        received_on as changed_on,
        'bill' as kind,
        payment_amount as change_amount
    from bills
    union all
    select
        customer_id,
        ended_on as changed_on,
        'bill' as kind,
        -payment_amount as change_amount
    from bills
),

months_of_change as (
    select
        customer_id,
        {{ month_start('changed_on') }} as changed_month_on,
        {{ sum_amount("case when kind = 'claim' then change_amount end") }} as invoiced_amount,
        {{ sum_amount("case when kind = 'credit_note' then change_amount end") }}
            as credit_note_amount,
        {{ sum_amount(
            "case when kind in ('payment', 'refund', 'dishonour') then change_amount end"
        ) }} as credited_amount,
        {{ sum_amount("case when kind = 'overdue_claim' then change_amount end") }}
            as overdue_claim_amount,
        {{ sum_amount("case when kind = 'named' then change_amount end") }} as named_amount,
        {{ sum_amount("case when kind = 'overdue_named' then change_amount end") }}
            as overdue_named_amount,
        {{ sum_amount("case when kind = 'bill' then change_amount end") }} as bill_amount,
        max(changed_on) filter (where kind = 'refund') as last_refunded_on
    from changes
    where changed_on <= {{ as_of_date() }}
    group by customer_id, {{ month_start('changed_on') }}
),

-- up to the end of the month; so it stays until the next month of change
totals as (
    select
        customer_id,
        changed_month_on,
        lead(changed_month_on) over (
            partition by customer_id
            order by changed_month_on
        ) as next_changed_month_on,
        invoiced_amount,
        credit_note_amount,
        credited_amount,
        last_refunded_on,
        sum(invoiced_amount) over up_to_month as claim_total_amount,
        sum(credit_note_amount + credited_amount) over up_to_month as credit_total_amount,
        sum(overdue_claim_amount) over up_to_month as overdue_claim_total_amount,
        sum(named_amount) over up_to_month as named_total_amount,
        sum(overdue_named_amount) over up_to_month as overdue_named_total_amount,
        sum(bill_amount) over up_to_month as bill_total_amount
    from months_of_change
    window up_to_month as (
        partition by customer_id
        order by changed_month_on
        rows between unbounded preceding and current row
    )
),

customer_months as (
    select
        totals.*,
        cast(
            {{ explode_months(
                'changed_month_on',
                'coalesce(' ~ add_months('next_changed_month_on', -1) ~ ', '
                ~ month_start(as_of_date()) ~ ')'
            ) }} as date
        ) as month_on
    from totals
),

month_ends as (
    select
        *,
        least(
            {{ add_days(add_months('month_on', 1), -1) }}, {{ as_of_date() }}
        ) as month_end_on,
        month_on = changed_month_on as has_changes,
        claim_total_amount - credit_total_amount as balance_amount
    from customer_months
),

balances as (
    select
        *,
        -- of the claims overdue, what is left open when the credits without a name are used up
        greatest(
            overdue_claim_total_amount - overdue_named_total_amount
            - greatest(credit_total_amount - named_total_amount, 0),
            0
        )
        -- refunds can take away what paid a claim by name
        + greatest(overdue_named_total_amount - greatest(credit_total_amount, 0), 0)
        -- refunded above all that came in: due on the day of the last refund
        + case
            when coalesce(last_refunded_on < month_end_on, true)
                then greatest(-credit_total_amount, 0)
            else 0
        end as overdue_amount
    from month_ends
),

final as (
    select
        customer_id,
        month_on,
        month_end_on,
        {{ reporting_currency() }} as currency,
        cast(case when has_changes then invoiced_amount else 0 end as decimal(18, 2))
            as invoiced_amount,
        cast(case when has_changes then credit_note_amount else 0 end as decimal(18, 2))
            as credit_note_amount,
        cast(case when has_changes then credited_amount else 0 end as decimal(18, 2))
            as credited_amount,
        cast(balance_amount as decimal(18, 2)) as balance_amount,
        cast(greatest(balance_amount, 0) as decimal(18, 2)) as open_balance_amount,
        cast(greatest(-balance_amount, 0) as decimal(18, 2)) as unapplied_cash_amount,
        cast(overdue_amount as decimal(18, 2)) as overdue_amount,
        cast(greatest(balance_amount, 0) - overdue_amount as decimal(18, 2)) as not_due_amount,
        cast(bill_total_amount as decimal(18, 2)) as bills_outstanding_amount
    from balances
)

select * from final
