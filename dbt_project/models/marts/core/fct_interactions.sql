{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('interaction_id', changed_rows('interactions')) }}",
) }}
-- depends_on: {{ ref('int_rows_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with interactions as (
    select * from {{ ref('stg_landing__interactions') }}
    where
        occurred_on <= {{ as_of_date() }}
        and {{ where_changed('interaction_id', changed_rows('interactions')) }}
),

final as (
    select
        interaction_id,
        customer_id,
        source_customer_id,
        campaign_id,
        occurred_at,
        occurred_on,
        kind,
        account_manager,
        {{ reporting_currency() }} as currency,
        cost_amount
    from interactions
)

select * from final
