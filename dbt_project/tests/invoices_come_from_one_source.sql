-- Landed invoices and receivables derived from orders never stand side by side: a company that
-- gains or loses its invoice feed needs a rebuild.
select
    invoice_id,
    is_derived
from {{ ref('fct_invoices') }}
where is_derived <> ({{ invoices_are_derived() }})
