-- depends_on: {{ ref('int_ledger_starts') }}
-- depends_on: {{ ref('stg_landing__run_context') }}
{% set ledger = table_of_parent('fct_payment_allocations') -%}
{%- set open_claims = table_of_parent('int_open_claims', 'intermediate') -%}
{%- set open_credits = table_of_parent('int_open_credits', 'intermediate') -%}

{% if ledger and open_claims and open_credits -%}
    with ledger_starts as (
        select * from {{ ref('int_ledger_starts') }}
    ),

    open_documents as (
        select
            true as is_claim,
            document_id,
            customer_id,
            document_open_amount as open_amount
        from {{ open_claims }}
        union all
        select
            false as is_claim,
            credit_id as document_id,
            customer_id,
            document_unapplied_amount as open_amount
        from {{ open_credits }}
    ),

    -- the rows that are computed again
    entries_to_undo as (
        select entries.*  -- noqa: RF01
        from {{ ledger }} as entries
        inner join ledger_starts
            on
                entries.customer_id = ledger_starts.customer_id
                and entries.allocated_on >= ledger_starts.from_on
    ),

    -- what was open on the day is open now, or was covered since
    open_amounts as (
        select
            is_claim,
            document_id,
            open_amount
        from open_documents
        where customer_id in (select customer_id from ledger_starts)
        union all
        select
            true as is_claim,
            document_id,
            document_amount as open_amount
        from entries_to_undo
        union all
        select
            false as is_claim,
            credit_id as document_id,
            document_amount as open_amount
        from entries_to_undo
    ),

    openings as (
        select
            is_claim,
            document_id,
            sum(open_amount) as open_amount
        from open_amounts
        group by is_claim, document_id
        having sum(open_amount) <> 0
    ),

    entry_counts as (
        select
            entries.credit_id,  -- noqa: RF01
            count(*) as count_entries
        from {{ ledger }} as entries
        inner join ledger_starts
            on
                entries.customer_id = ledger_starts.customer_id
                and entries.allocated_on < ledger_starts.from_on
        where entries.credit_id in (select document_id from openings where not is_claim)
        group by entries.credit_id
    )

    select
        openings.is_claim,
        openings.document_id,
        openings.open_amount,
        coalesce(entry_counts.count_entries, 0) as count_entries
    from openings
    left join entry_counts
        on not openings.is_claim and openings.document_id = entry_counts.credit_id
{%- else %}
    select
        cast(null as boolean) as is_claim,
        cast(null as {{ dbt.type_string() }}) as document_id,
        cast(null as decimal(18, 2)) as open_amount,
        cast(null as bigint) as count_entries
    where false
{%- endif %}
