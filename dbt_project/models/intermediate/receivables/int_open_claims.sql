{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('customer_id', customers_with_movements()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_receivable_events') }}
-- depends_on: {{ ref('stg_landing__run_context') }}

{%- set is_in_scope = where_changed('customer_id', customers_with_movements()) %}
{#- What was settled before the ledger goes on is not open. #}
{%- set is_run_again = where_changed('document_id', documents_run_again('document_id')) %}

with claims as (
    select * from {{ ref('int_receivable_claims') }}
    where
        {{ is_in_scope }}
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
        document_id,
        sum(document_amount) as document_amount,
        sum(allocated_amount) as allocated_amount
    from allocations
    group by document_id
),

final as (
    select
        claims.document_id,
        claims.document_kind,
        claims.customer_id,
        claims.invoice_id,
        claims.payment_id,
        claims.order_id,
        claims.claimed_on,
        claims.due_on,
        claims.due_on_source,
        claims.is_disputed,
        claims.currency,
        claims.document_currency,
        claims.document_amount as document_claim_amount,
        claims.claim_amount,
        cast(
            claims.document_amount - coalesce(allocation_totals.document_amount, 0)
            as decimal(18, 2)
        ) as document_open_amount,
        cast(
            claims.claim_amount - coalesce(allocation_totals.allocated_amount, 0)
            as decimal(18, 2)
        ) as open_amount
    from claims
    left join allocation_totals on claims.document_id = allocation_totals.document_id
    where claims.document_amount <> coalesce(allocation_totals.document_amount, 0)
)

select * from final
