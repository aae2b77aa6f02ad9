{#- The id of a receivable that is derived from an order, for a company without an invoice feed. -#}
{% macro derived_invoice_id(order_id) -%}
    concat('order:', {{ order_id }})
{%- endmacro %}

{#- The id of an order that is derived from an invoice, for a company without an order feed. -#}
{% macro derived_order_id(invoice_id) -%}
    concat('invoice:', {{ invoice_id }})
{%- endmacro %}

{#- Predicate: orders are derived from invoices, as the company has no order feed. -#}
{% macro orders_are_derived() -%}
    not exists (
        select feed
        from {{ ref('stg_landing__feeds') }}
        where feed = 'orders' and (is_configured or count_rows > 0)
    )
{%- endmacro %}

{#- Predicate: receivables are derived from orders, as the company has no invoice feed. -#}
{% macro invoices_are_derived() -%}
    not exists (
        select feed
        from {{ ref('stg_landing__feeds') }}
        where feed = 'invoices' and (is_configured or count_rows > 0)
    )
{%- endmacro %}
