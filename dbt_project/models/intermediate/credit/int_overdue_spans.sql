{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('customer_id', changed_customers()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed('customer_id', changed_customers()) %}

with claims as (
    select
        *,
        {{ add_days('due_on', 1) }} as overdue_from
    from {{ ref('int_receivable_claims') }}
    where {{ is_in_scope }}
),

overdue_claims as (
    select * from claims
    where overdue_from <= {{ as_of_date() }}
),

allocations as (
    select
        document_id,
        allocated_on,
        allocated_amount
    from {{ ref('fct_payment_allocations') }}
    where {{ is_in_scope }}
),

changes as (
    select
        document_id,
        {{ month_start('overdue_from') }} as from_month_on,
        claim_amount as change_amount
    from overdue_claims
    union all
    select
        allocations.document_id,
        {{ month_start('greatest(allocations.allocated_on, overdue_claims.overdue_from)') }}
            as from_month_on,
        -allocations.allocated_amount as change_amount
    from allocations
    inner join overdue_claims on allocations.document_id = overdue_claims.document_id
),

-- what is paid by the end of the month in which it is due is no month end's overdue claim
changed_months as (
    select
        document_id,
        from_month_on,
        sum(change_amount) as change_amount
    from changes
    group by document_id, from_month_on
    having sum(change_amount) <> 0
),

balances as (
    select
        document_id,
        from_month_on,
        lead(from_month_on) over by_month as until_month_on,
        sum(change_amount) over by_month as open_amount
    from changed_months
    window by_month as (
        partition by document_id
        order by from_month_on
    )
),

final as (
    select
        overdue_claims.customer_id,
        balances.document_id,
        overdue_claims.document_kind,
        overdue_claims.due_on,
        balances.from_month_on,
        balances.until_month_on,
        cast(balances.open_amount as decimal(18, 2)) as open_amount
    from balances
    inner join overdue_claims on balances.document_id = overdue_claims.document_id
    where balances.open_amount <> 0
)

select * from final
