{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('cost_id', changed_rows('customer_costs')) }}",
) }}
-- depends_on: {{ ref('int_rows_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with customer_costs as (
    select
        *,
        coalesce(currency, {{ reporting_currency() }}) as document_currency
    from {{ ref('stg_landing__customer_costs') }}
    where
        incurred_on <= {{ as_of_date() }}
        and {{ where_changed('cost_id', changed_rows('customer_costs')) }}
),

fx_days as (
    select * from {{ ref('stg_landing__fx_days') }}
),

rated_costs as (
    select
        customer_costs.*,
        {{ rate_into_reporting('customer_costs.document_currency', 'fx_days.rate') }} as fx_rate
    from customer_costs
    left join fx_days
        on
            customer_costs.document_currency = fx_days.currency
            and customer_costs.incurred_on = fx_days.valid_on
),

final as (
    select
        cost_id,
        customer_id,
        source_customer_id,
        incurred_on,
        kind,
        {{ reporting_currency() }} as currency,
        document_currency,
        fx_rate,
        rated_costs.cost_amount as document_amount,
        {{ in_reporting_currency('rated_costs.cost_amount', 'fx_rate') }} as cost_amount
    from rated_costs
)

select * from final
