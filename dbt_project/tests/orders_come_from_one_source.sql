-- Landed orders and orders derived from invoices never stand side by side: a company that
-- gains or loses its order feed needs a rebuild.
select
    order_id,
    is_derived
from {{ ref('fct_orders') }}
where is_derived <> ({{ orders_are_derived() }})
