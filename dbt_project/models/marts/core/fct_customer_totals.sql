{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('customer_id', changed_customers()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

with orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled and {{ where_changed('customer_id', changed_customers()) }}
),

order_days as (
    select
        customer_id,
        ordered_on,
        lag(ordered_on) over (partition by customer_id order by ordered_on) as previous_ordered_on
    from orders
    group by customer_id, ordered_on
),

day_totals as (
    select
        customer_id,
        count(*) as count_order_days,
        max(ordered_on) as last_ordered_on,
        -- the day before the last one: the latest predecessor of any day
        max(previous_ordered_on) as previous_ordered_on
    from order_days
    group by customer_id
),

order_totals as (
    select
        customer_id,
        count(*) as count_orders,
        min(ordered_on) as first_ordered_on,
        sum(revenue_amount) as revenue_amount,
        sum(cost_amount) as cost_amount,
        -- orders of unknown cost bring no margin: costed_revenue_amount tells how much is known
        sum(margin_amount) as margin_amount,
        coalesce(sum(revenue_amount) filter (where cost_amount is not null), 0)
            as costed_revenue_amount,
        case
            when count(distinct sale_type) > 1 then 'mixed'
            else max(sale_type)
        end as sale_type
    from orders
    group by customer_id
),

final as (
    select
        order_totals.customer_id,
        {{ reporting_currency() }} as currency,
        cast(order_totals.count_orders as integer) as count_orders,
        cast(day_totals.count_order_days as integer) as count_order_days,
        order_totals.first_ordered_on,
        day_totals.last_ordered_on,
        day_totals.previous_ordered_on,
        order_totals.sale_type,
        cast(order_totals.revenue_amount as decimal(18, 2)) as revenue_amount,
        cast(order_totals.cost_amount as decimal(18, 2)) as cost_amount,
        cast(order_totals.margin_amount as decimal(18, 2)) as margin_amount,
        cast(order_totals.costed_revenue_amount as decimal(18, 2)) as costed_revenue_amount
    from order_totals
    inner join day_totals on order_totals.customer_id = day_totals.customer_id
)

select * from final
