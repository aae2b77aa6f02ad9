-- Every accepted line of an accepted order up to the as-of date is in the fact, and no other.
{% set fact_lines %}
fact_lines as (
    select
        order_id,
        cast(line_no as bigint) as line_no
    from {{ ref('fct_order_lines') }}
)
{% endset -%}
{#- To join two books of lines costs three times what adding up their keys does, and to join lines
    with the orders that stand as much again as to look for the few that do not. So here a line
    counts whose order never landed; the fact has none, as without an order there is no customer,
    and where landing has one the books are joined. #}
{%- set keys_of_both_sides %}
with order_lines as (
    select
        order_id,
        cast(line_no as bigint) as line_no
    from {{ ref('stg_landing__order_lines') }}
    where order_id not in (
        select row_key from {{ ref('stg_landing__row_changes') }}
        where
            feed = 'orders'
            and not coalesce(is_accepted and business_on <= {{ as_of_date() }}, false)
    )
),
{{ fact_lines }}
{% endset -%}
{%- set is_different = keys_differ(
    keys_of_both_sides, 'order_lines', 'fact_lines', ['order_id', 'line_no']
) %}

with order_lines as (
    select
        stg_landing__order_lines.order_id,
        cast(stg_landing__order_lines.line_no as bigint) as line_no
    from {{ ref('stg_landing__order_lines') }} as stg_landing__order_lines
    inner join {{ ref('stg_landing__orders') }} as stg_landing__orders
        on stg_landing__order_lines.order_id = stg_landing__orders.order_id
    where stg_landing__orders.ordered_on <= {{ as_of_date() }}
),
{{ fact_lines }}
select
    coalesce(order_lines.order_id, fact_lines.order_id) as order_id,
    coalesce(order_lines.line_no, fact_lines.line_no) as line_no
from order_lines
full outer join fact_lines
    on
        order_lines.order_id = fact_lines.order_id
        and order_lines.line_no = fact_lines.line_no
where
    (order_lines.order_id is null or fact_lines.order_id is null)
    and {{ is_different }}
