{#- The id of a receivable that is derived from an order, for a company without an invoice feed. -#}
{% macro derived_invoice_id(order_id) -%}
    concat('order:', {{ order_id }})
{%- endmacro %}

{#- Predicate: receivables are derived from orders, as the company has no invoice feed. -#}
{% macro invoices_are_derived() -%}
    not exists (
        select feed
        from {{ ref('stg_landing__feeds') }}
        where feed = 'invoices' and (is_configured or count_rows > 0)
    )
{%- endmacro %}
