{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('customer_id', customers_with_movements()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_receivable_events') }}

{%- set is_in_scope = where_changed('customer_id', customers_with_movements()) %}
{#- What was used up before the ledger goes on is not open. #}
{%- set is_run_again = where_changed('credit_id', documents_run_again('credit_id')) %}

with credits as (
    select * from {{ ref('int_receivable_credits') }}
    where
        coalesce(cancelled_on > {{ as_of_date() }}, true)
        and {{ is_in_scope }}
        and {{ is_run_again }}
),

allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where
        {{ is_in_scope }}
        and {{ is_run_again }}
),

allocation_totals as (
    select
        credit_id,
        sum(document_amount) as document_amount,
        sum(credit_amount) as credit_amount
    from allocations
    group by credit_id
),

final as (
    select
        credits.*,
        cast(
            credits.document_amount - coalesce(allocation_totals.document_amount, 0)
            as decimal(18, 2)
        ) as document_unapplied_amount,
        cast(
            credits.credit_amount - coalesce(allocation_totals.credit_amount, 0)
            as decimal(18, 2)
        ) as unapplied_amount
    from credits
    left join allocation_totals on credits.credit_id = allocation_totals.credit_id
    where credits.document_amount <> coalesce(allocation_totals.document_amount, 0)
)

select * from final
