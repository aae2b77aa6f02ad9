-- depends_on: {{ ref('int_ledger_starts') }}
-- depends_on: {{ ref('fct_invoices') }}
-- depends_on: {{ ref('fct_payments') }}
-- depends_on: {{ ref('stg_landing__run_context') }}
{% set ledger = table_of_parent('fct_payment_allocations') -%}
{#- without these two every document before is in question -#}
{% set open_claims = kept_table_of_parent('int_open_claims') -%}
{% set open_credits = kept_table_of_parent('int_open_credits') -%}

{% if ledger -%}
    -- who starts at the beginning has nothing before it
    with ledger_starts as (
        select * from {{ ref('int_ledger_starts') }}
        where from_on > {{ beginning_of_time() }}
    ),

    entries_since as (
        select entries.*  -- noqa: RF01
        from {{ ledger }} as entries
        inner join ledger_starts
            on
                entries.customer_id = ledger_starts.customer_id
                and entries.allocated_on >= ledger_starts.from_on
    ),

    -- what the parent's ledger settles, by no row from that day on, was settled by then
    claims_in_question as (
        select document_id from entries_since
        union
        {% if open_claims -%}
            select document_id from {{ open_claims }}
        {%- else -%}
            select invoice_id as document_id from {{ ref('fct_invoices') }}
        {%- endif %}
        where customer_id in (select customer_id from ledger_starts)
    ),

    credits_in_question as (
        select credit_id from entries_since
        union
        {% if open_credits -%}
            select credit_id from {{ open_credits }}
        {%- else -%}
            select {{ credit_id("'credit_note'", 'invoice_id') }} as credit_id
            from {{ ref('fct_invoices') }}
            where customer_id in (select customer_id from ledger_starts)
            union
            select payment_id as credit_id from {{ ref('fct_payments') }}
        {%- endif %}
        where customer_id in (select customer_id from ledger_starts)
    ),

    documents as (
        select
            true as is_claim,
            invoices.invoice_id as document_id,
            invoices.document_amount
        from {{ ref('fct_invoices') }} as invoices
        inner join ledger_starts
            on
                invoices.customer_id = ledger_starts.customer_id
                and invoices.invoiced_on < ledger_starts.from_on
        where
            invoices.document_amount > 0
            and invoices.invoice_id in (select document_id from claims_in_question)
        union all
        select
            false as is_claim,
            {{ credit_id("'credit_note'", 'invoices.invoice_id') }} as document_id,
            -invoices.document_amount as document_amount
        from {{ ref('fct_invoices') }} as invoices
        inner join ledger_starts
            on
                invoices.customer_id = ledger_starts.customer_id
                and invoices.invoiced_on < ledger_starts.from_on
        where
            invoices.document_amount < 0
            and {{ credit_id("'credit_note'", 'invoices.invoice_id') }}
            in (select credit_id from credits_in_question)
        union all
        -- a bill that was dishonoured is used up; what was given back was settled (see
        -- int_ledger_starts)
        select
            false as is_claim,
            payments.payment_id as document_id,
            abs(payments.document_amount) as document_amount
        from {{ ref('fct_payments') }} as payments
        inner join ledger_starts
            on
                payments.customer_id = ledger_starts.customer_id
                and payments.received_on < ledger_starts.from_on
        where
            payments.document_amount <> 0
            and payments.kind not in ('refund', 'chargeback')
            and payments.dishonoured_on is null
            and payments.payment_id in (select credit_id from credits_in_question)
    ),

    {% for key, documents_in_question in [
        ('document_id', 'claims_in_question'), ('credit_id', 'credits_in_question')
    ] -%}
        entries_before_by_{{ key }} as (
            select entries.*  -- noqa: RF01
            from {{ ledger }} as entries
            inner join ledger_starts
                on
                    entries.customer_id = ledger_starts.customer_id
                    and entries.allocated_on < ledger_starts.from_on
            where entries.{{ key }} in (select {{ key }} from {{ documents_in_question }})
        ),

    {% endfor -%}

    settled_documents as (
        select
            true as is_claim,
            document_id,
            sum(document_amount) as settled_amount,
            count(*) as count_entries
        from entries_before_by_document_id
        group by document_id
        union all
        select
            false as is_claim,
            credit_id as document_id,
            sum(document_amount) as settled_amount,
            count(*) as count_entries
        from entries_before_by_credit_id
        group by credit_id
    )

    select
        documents.is_claim,
        documents.document_id,
        documents.document_amount - coalesce(settled_documents.settled_amount, 0) as open_amount,
        coalesce(settled_documents.count_entries, 0) as count_entries
    from documents
    left join settled_documents
        on
            documents.is_claim = settled_documents.is_claim
            and documents.document_id = settled_documents.document_id
    where documents.document_amount <> coalesce(settled_documents.settled_amount, 0)
{%- else %}
    select
        cast(null as boolean) as is_claim,
        cast(null as {{ dbt.type_string() }}) as document_id,
        cast(null as decimal(18, 2)) as open_amount,
        cast(null as bigint) as count_entries
    where false
{%- endif %}
