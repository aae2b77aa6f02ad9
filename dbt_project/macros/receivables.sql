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

{#-
    CTEs that tell which credits name which claim, and since when. They read two CTEs of the model:
    claims (document_id, order_id, customer_id, invoiced_on, due_on) and credits (customer_id,
    credited_on, order_id, reference, credit_amount). A credit names the claim it refers to, else
    the claim that stands for its order: of those known the one due first. What is known changes
    with the days, so `named_changes` (document_id, named_on, named_change_amount) is dated: summed
    up to a day it gives what the credits of that day name among the claims of that day.
-#}
{% macro named_changes_ctes() -%}
    -- a claim stands for its order from its day, where it is due before all that came earlier
    claims_standing_for_orders as (
        select
            document_id,
            order_id,
            customer_id,
            invoiced_on,
            due_on
        from claims
        where order_id is not null
        qualify coalesce(
            due_on < min(due_on) over (
                partition by customer_id, order_id
                order by invoiced_on, due_on, document_id
                rows between unbounded preceding and 1 preceding
            ),
            true
        )
    ),

    claims_of_orders as (
        select
            document_id,
            order_id,
            customer_id,
            invoiced_on as stands_from,
            lead(invoiced_on) over (
                partition by customer_id, order_id
                order by invoiced_on
            ) as stands_until
        from claims_standing_for_orders
    ),

    credits_with_reference as (
        select
            credits.customer_id,
            credits.credited_on,
            credits.credit_amount,
            coalesce(credits.order_id, credits.reference) as order_id,
            claims.document_id,
            claims.invoiced_on as known_from
        from credits
        left join claims
            on
                credits.reference = claims.document_id
                and credits.customer_id = claims.customer_id
    ),

    named_spans as (
        select
            document_id,
            greatest(credited_on, known_from) as named_from,
            cast(null as date) as named_until,
            credit_amount
        from credits_with_reference
        where document_id is not null
        union all
        -- until the document it refers to is known, a credit names its order
        select
            claims_of_orders.document_id,
            greatest(credits_with_reference.credited_on, claims_of_orders.stands_from)
                as named_from,
            least(claims_of_orders.stands_until, credits_with_reference.known_from)
                as named_until,
            credits_with_reference.credit_amount
        from credits_with_reference
        inner join claims_of_orders
            on
                credits_with_reference.order_id = claims_of_orders.order_id
                and credits_with_reference.customer_id = claims_of_orders.customer_id
        where
            credits_with_reference.document_id is null
            or credits_with_reference.credited_on < credits_with_reference.known_from
    ),

    named_changes as (
        select
            document_id,
            named_from as named_on,
            credit_amount as named_change_amount
        from named_spans
        where coalesce(named_from < named_until, true)
        union all
        select
            document_id,
            named_until as named_on,
            -credit_amount as named_change_amount
        from named_spans
        where named_from < named_until
    )
{%- endmacro %}

{#- Within one space of ids: a refund is not the invoice of its number, a credit note no payment. -#}
{% macro claim_id(kind, id) -%}
    case when {{ kind }} = 'invoice' then {{ id }} else concat({{ kind }}, ':', {{ id }}) end
{%- endmacro %}

{% macro credit_id(kind, id) -%}
    case when {{ kind }} = 'credit_note' then concat('credit_note:', {{ id }}) else {{ id }} end
{%- endmacro %}
