-- Every accepted line of an accepted order up to the as-of date is in the fact, and no other.
with order_lines as (
    select
        stg_landing__order_lines.order_id,
        stg_landing__order_lines.line_no
    from {{ ref('stg_landing__order_lines') }} as stg_landing__order_lines
    inner join {{ ref('stg_landing__orders') }} as stg_landing__orders
        on stg_landing__order_lines.order_id = stg_landing__orders.order_id
    where stg_landing__orders.ordered_on <= {{ as_of_date() }}
),

fact_lines as (
    select
        order_id,
        line_no
    from {{ ref('fct_order_lines') }}
)

(select * from order_lines except select * from fact_lines)
union all
(select * from fact_lines except select * from order_lines)
