{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('delivery_id', changed_deliveries()) }}",
) }}
-- depends_on: {{ ref('int_rows_changed') }}
-- depends_on: {{ ref('int_orders_changed') }}

with deliveries as (
    select * from {{ ref('stg_landing__deliveries') }}
    where
        delivered_on <= {{ as_of_date() }}
        and {{ where_changed('delivery_id', changed_deliveries()) }}
),

orders as (
    select * from {{ ref('fct_orders') }}
),

-- goods are worth what their order was: its customer, its currency, the rate of its day
rated_deliveries as (
    select
        deliveries.*,
        orders.customer_id,
        orders.source_customer_id,
        orders.document_currency,
        orders.fx_rate
    from deliveries
    inner join orders on deliveries.order_id = orders.order_id
),

final as (
    select
        delivery_id,
        order_id,
        customer_id,
        source_customer_id,
        delivered_at,
        delivered_on,
        promised_on,
        {{ days_between('promised_on', 'delivered_on') }} as days_late,
        quantity,
        {{ reporting_currency() }} as currency,
        document_currency,
        fx_rate,
        rated_deliveries.delivered_amount as document_amount,
        {{ in_reporting_currency('rated_deliveries.delivered_amount', 'fx_rate') }}
            as delivered_amount
    from rated_deliveries
)

select * from final
