-- Every accepted delivery up to the as-of date of an order known by then is in the fact, with its
-- quantity and amount, and no other.
with deliveries as (
    select
        stg_landing__deliveries.delivery_id,
        stg_landing__deliveries.quantity,
        stg_landing__deliveries.delivered_amount
    from {{ ref('stg_landing__deliveries') }} as stg_landing__deliveries
    inner join {{ ref('stg_landing__orders') }} as stg_landing__orders
        on stg_landing__deliveries.order_id = stg_landing__orders.order_id
    where
        stg_landing__deliveries.delivered_on <= {{ as_of_date() }}
        and stg_landing__orders.ordered_on <= {{ as_of_date() }}
),

fact_deliveries as (
    select
        delivery_id,
        quantity,
        document_amount
    from {{ ref('fct_deliveries') }}
)

select
    coalesce(deliveries.delivery_id, fact_deliveries.delivery_id) as delivery_id,
    deliveries.delivered_amount,
    fact_deliveries.document_amount
from deliveries
full outer join fact_deliveries on deliveries.delivery_id = fact_deliveries.delivery_id
where
    deliveries.delivery_id is null
    or fact_deliveries.delivery_id is null
    or deliveries.quantity is distinct from fact_deliveries.quantity
    or deliveries.delivered_amount is distinct from fact_deliveries.document_amount
