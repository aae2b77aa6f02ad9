{#- The id of a receivable that is derived from an order, for a company without an invoice feed. -#}
{% macro derived_invoice_id(order_id) -%}
    concat('order:', {{ order_id }})
{%- endmacro %}

{#- The id of an order that is derived from an invoice, for a company without an order feed. -#}
{% macro derived_order_id(invoice_id) -%}
    concat('invoice:', {{ invoice_id }})
{%- endmacro %}

{#- Predicate: the company has no such feed, and no row of one it once had. -#}
{% macro has_no_feed(feed) -%}
    not exists (
        select feed
        from {{ ref('stg_landing__feeds') }}
        where feed = '{{ feed }}' and (is_configured or count_rows > 0)
    )
{%- endmacro %}

{#- Predicate: orders are derived from invoices, as the company has no order feed. -#}
{% macro orders_are_derived() -%}
    {{ has_no_feed('orders') }}
{%- endmacro %}

{#- Predicate: receivables are derived from orders, as the company has no invoice feed. -#}
{% macro invoices_are_derived() -%}
    {{ has_no_feed('invoices') }}
{%- endmacro %}

{#- A total of money, zero where nothing was there to sum. -#}
{% macro or_zero(total) -%}
    cast(coalesce({{ total }}, 0) as decimal(18, 2))
{%- endmacro %}

{#- The document's age in the basis' days lies within the bucket; an empty bound is open. -#}
{% macro is_in_bucket(buckets, days) -%}
    ({{ buckets }}.days_from is null or {{ days }} >= {{ buckets }}.days_from)
            and ({{ buckets }}.days_to is null or {{ days }} <= {{ buckets }}.days_to)
{%- endmacro %}

{#-
    The rows of a CTE as changes of fct_receivables: their day and, of each of its measures, what
    they change it by. What lies after the as-of date is left out.
-#}
{% macro dated_amounts(relation, on_date, amounts, where='true') -%}
    select
        customer_id,
        {{ on_date }} as changed_on
        {%- for measure in [
            'invoiced', 'credit_note', 'credited', 'exchange_difference', 'open', 'overdue',
            'disputed', 'unapplied', 'prepaid', 'bill',
        ] %},
        {%- if measure in amounts %}
        {{ amounts[measure] }} as {{ measure }}_amount
        {%- else %}
        cast(null as decimal(18, 2)) as {{ measure }}_amount
        {%- endif %}
        {%- endfor %}
    from {{ relation }}
    where {{ on_date }} <= {{ as_of_date() }} and {{ where }}
{%- endmacro %}

{#- Within one space of ids: a refund is not the invoice of its number, a credit note no payment. -#}
{% macro claim_id(kind, id) -%}
    case when {{ kind }} = 'invoice' then {{ id }} else concat({{ kind }}, ':', {{ id }}) end
{%- endmacro %}

{% macro credit_id(kind, id) -%}
    case when {{ kind }} = 'credit_note' then concat('credit_note:', {{ id }}) else {{ id }} end
{%- endmacro %}
