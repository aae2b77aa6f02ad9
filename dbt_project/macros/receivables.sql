{#- The id of a receivable that is derived from an order, for a company without an invoice feed. -#}
{% macro derived_invoice_id(order_id) -%}
    concat('order:', {{ order_id }})
{%- endmacro %}

{#- The id of an order that is derived from an invoice, for a company without an order feed. -#}
{% macro derived_order_id(invoice_id) -%}
    concat('invoice:', {{ invoice_id }})
{%- endmacro %}

{#- Predicate: the company has such a feed, or rows of one it once had. -#}
{% macro has_feed(feed) -%}
    exists (
        select feed
        from {{ ref('stg_landing__feeds') }}
        where feed = '{{ feed }}' and (is_configured or count_rows > 0)
    )
{%- endmacro %}
{% macro has_no_feed(feed) -%}
    not {{ has_feed(feed) }}
{%- endmacro %}

{#- Predicate: orders are derived from invoices, as the company has no order feed. -#}
{% macro orders_are_derived() -%}
    {{ has_no_feed('orders') }}
{%- endmacro %}

{#- Predicate: receivables are derived from orders, as the company has no invoice feed. -#}
{% macro invoices_are_derived() -%}
    {{ has_no_feed('invoices') }}
{%- endmacro %}

{#- Predicate: the company is a small or medium seller, by its file. -#}
{% macro seller_is_small_or_medium() -%}
    (select is_small_or_medium from {{ ref('stg_landing__run_context') }})
{%- endmacro %}

{#- Predicate: the company is no such seller, whose buyers' size the law does not ask for. -#}
{% macro seller_is_large() -%}
    (select not is_small_or_medium from {{ ref('stg_landing__run_context') }})
{%- endmacro %}

{#-
    The size of each claim's buyer, and the last day that the law gives it, null where it gives no
    term: the days of the law, or a later day that was agreed, for an agreed term goes before it
    (合同另有约定的,从其约定). A buyer is as large as it was when the claim arose; before anything is
    known, as it first was; no row where its size is not known. The law is that of the day of the
    claim.
-#}
{% macro statutory_terms(claims) -%}
    select
        {{ claims }}.document_id,
        customer_records.size_class,
        case
            when statutory_rules.payment_days is not null
                then greatest(
                    {{ add_days(claims ~ '.claimed_on', 'statutory_rules.payment_days') }},
                    {{ claims }}.due_on
                )
        end as statutory_due_on
    from {{ claims }}
    inner join {{ ref('dim_customer_history') }} as customer_records
        on
            {{ claims }}.customer_id = customer_records.customer_id
            and customer_records.is_main_record
            and customer_records.size_class is not null
            and (
                customer_records.version_no = 1
                or {{ claims }}.claimed_on >= customer_records.valid_from
            )
            and (
                customer_records.valid_to is null
                or {{ claims }}.claimed_on < customer_records.valid_to
            )
    left join {{ ref('statutory_payment_rules') }} as statutory_rules
        on
            customer_records.size_class = statutory_rules.buyer_size_class
            and {{ is_in_force_on('statutory_rules', claims ~ '.claimed_on') }}
            and {{ seller_is_small_or_medium() }}
    where {{ claims }}.document_kind = 'invoice'
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
    they change it by. What lies before its first_month_on, or after the as-of date, is left out.
-#}
{% macro dated_amounts(relation, on_date, amounts, where='true') -%}
    select
        customer_id,
        {{ on_date }} as changed_on
        {%- for measure in receivable_measures() %},
        {%- if measure in amounts %}
        {{ amounts[measure] }} as {{ measure }}_amount
        {%- else %}
        cast(null as decimal(18, 2)) as {{ measure }}_amount
        {%- endif %}
        {%- endfor %}
    from {{ relation }}
    where
        {{ on_date }} <= {{ as_of_date() }}
        and {{ on_date }} >= first_month_on
        and {{ where }}
{%- endmacro %}

{#- What a customer's months of fct_receivables add up. -#}
{% macro receivable_measures() -%}
    {{ return([
        'invoiced', 'credit_note', 'credited', 'exchange_difference', 'open', 'overdue', 'disputed',
        'unapplied', 'prepaid', 'bill',
    ]) }}
{%- endmacro %}
{% macro sums_of_receivable_measures() -%}
    {%- for measure in receivable_measures() %}
        {{ sum_amount(measure ~ '_amount') }} as {{ measure }}_amount{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- Within one space of ids: a refund is not the invoice of its number, a credit note no payment. -#}
{% macro claim_id(kind, id) -%}
    case when {{ kind }} = 'invoice' then {{ id }} else concat({{ kind }}, ':', {{ id }}) end
{%- endmacro %}

{% macro credit_id(kind, id) -%}
    case when {{ kind }} = 'credit_note' then concat('credit_note:', {{ id }}) else {{ id }} end
{%- endmacro %}

{#- Pre-hook: removes the rows of the customers whose ledger is computed again, from their day on. -#}
{% macro delete_from_ledger_starts(on_date) -%}
    {%- if is_incremental() -%}
        {% if run_asks_for_rebuild() -%}
            delete from {{ this }}
        {%- else -%}
            merge into {{ this }} as facts
            using {{ ref('int_ledger_starts') }} as ledger_starts
                on
                    facts.customer_id = ledger_starts.customer_id
                    and facts.{{ on_date }} >= ledger_starts.from_on
            when matched then delete
        {%- endif %}
    {%- endif -%}
{%- endmacro %}

{#- The claims, or the credits, that the ledger reads again: by their key. -#}
{% macro documents_run_again(key) -%}
    {%- if key == 'credit_id' -%}
        select {{ credit_id('kind', 'document_id') }} as credit_id
        from {{ ref('int_receivable_events') }}
        where kind in ('credit_note', 'receipt', 'prepayment')
    {%- else -%}
        select {{ claim_id('kind', 'document_id') }} as document_id
        from {{ ref('int_receivable_events') }}
        where kind in ('invoice', 'refund', 'chargeback')
    {%- endif -%}
{%- endmacro %}

{#- Last line of the ledger: an increment that would write in the time that stands breaks. -#}
{% macro only_from_ledger_starts() -%}
    {%- if is_incremental() and not run_asks_for_rebuild() -%}
        case
        when
            allocated_on >= (
                select min(from_on)
                from {{ ref('int_ledger_starts') }} as ledger_starts
                where ledger_starts.customer_id = final.customer_id
            )
            then true
        else {{ break_with(this.name ~ ' would append a row of before its ledger goes on') }}
    end
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
