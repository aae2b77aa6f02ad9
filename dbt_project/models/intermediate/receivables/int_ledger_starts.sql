-- depends_on: {{ ref('fct_payments') }}
-- depends_on: {{ ref('stg_landing__run_context') }}
{% set ledger = table_of_parent('fct_payment_allocations') -%}

-- Of the customers whose ledger is computed again, the day from which on. What was applied before a
-- changed row's date stands, so it is the month of the first change (see
-- customer_marts.credit.allocation: going on from a day), but the beginning where rows of the past
-- are looked for or read otherwise: a reversal, money given back, a bill that turned into cash.
{% if ledger -%}
    with customers_changed as (
        select * from {{ ref('int_customers_changed') }}
        where has_movements
    ),

    payments as (
        select * from {{ ref('fct_payments') }}
    ),

    run_context as (
        select greatest(as_of, coalesce(parent_as_of, as_of)) as last_as_of
        from {{ ref('stg_landing__run_context') }}
    ),

    entries as (
        select * from {{ ledger }}
    ),

    -- few of millions, read for themselves: a step with two readers is kept whole
    refunds as (
        select * from {{ ref('fct_payments') }}
        where kind in ('refund', 'chargeback')
    ),

    unusual_entries as (
        select * from {{ ledger }}
        where basis = 'reversal' or document_kind <> 'invoice'
    ),

    -- what was given back before the month of the first change, and what of it was covered by then
    given_back as (
        select
            refunds.customer_id,
            abs(refunds.document_amount) as document_amount,
            coalesce(sum(entries.document_amount), 0) as covered_amount
        from refunds
        inner join customers_changed
            on
                refunds.customer_id = customers_changed.customer_id
                and refunds.received_on < customers_changed.first_month_on
        left join entries
            on
                {{ claim_id('refunds.kind', 'refunds.payment_id') }} = entries.document_id
                and customers_changed.first_month_on > entries.allocated_on
        group by refunds.customer_id, refunds.payment_id, refunds.document_amount
    ),

    customers_from_the_beginning as (
        select customers_changed.customer_id
        from payments
        cross join run_context
        inner join customers_changed
            on
                payments.customer_id = customers_changed.customer_id
                and (
                    (
                        payments.kind in ('refund', 'chargeback')
                        and payments.received_on >= customers_changed.first_month_on
                    )
                    or payments.dishonoured_on >= customers_changed.first_month_on
                    or (
                        payments.method in ('bank_acceptance', 'commercial_acceptance')
                        and payments.settled_on >= customers_changed.first_month_on
                        and payments.settled_on <= run_context.last_as_of
                    )
                )
        union
        select customers_changed.customer_id
        from unusual_entries
        inner join customers_changed
            on
                unusual_entries.customer_id = customers_changed.customer_id
                and unusual_entries.allocated_on >= customers_changed.first_month_on
        union
        select customer_id from given_back
        where covered_amount <> document_amount
    ),

    final as (
        select
            customer_id,
            case
                when customer_id in (select customer_id from customers_from_the_beginning)
                    then {{ beginning_of_time() }}
                else first_month_on
            end as from_on
        from customers_changed
    )

    select * from final
{%- else %}
    select
        customer_id,
        {{ beginning_of_time() }} as from_on
    from {{ ref('int_customers_changed') }}
    where has_movements
{%- endif %}
