with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

-- payments and credit notes pay the claim they name, then the oldest due first
all_credits as (
    select
        customer_id,
        currency,
        invoiced_on as credited_on,
        -invoice_amount as credit_amount,
        order_id,
        cast(null as {{ dbt.type_string() }}) as reference,
        cast(null as date) as refunded_on
    from invoices
    where invoice_amount < 0
    union all
    select
        customer_id,
        currency,
        received_on as credited_on,
        credited_amount as credit_amount,
        order_id,
        reference,
        case when credited_amount < 0 then received_on end as refunded_on
    from payments
),

settled_totals as (
    select
        customer_id,
        currency,
        sum(credit_amount) as settled_amount,
        max(refunded_on) as last_refunded_on
    from all_credits
    group by customer_id, currency
),

claim_totals as (
    select
        customer_id,
        currency,
        sum(invoice_amount) as claimed_amount
    from invoices
    where invoice_amount > 0
    group by customer_id, currency
),

-- most customers owe nothing: only the others need the order of their documents
owing_customers as (
    select
        coalesce(claim_totals.customer_id, settled_totals.customer_id) as customer_id,
        coalesce(claim_totals.currency, settled_totals.currency) as currency,
        coalesce(settled_totals.settled_amount, 0) as settled_amount,
        settled_totals.last_refunded_on
    from claim_totals
    full outer join settled_totals
        on
            claim_totals.customer_id = settled_totals.customer_id
            and claim_totals.currency = settled_totals.currency
    where
        coalesce(claim_totals.claimed_amount, 0) > coalesce(settled_totals.settled_amount, 0)
),

claims as (
    select
        invoices.invoice_id as document_id,
        invoices.order_id,
        invoices.customer_id,
        invoices.currency,
        'invoice' as document_kind,
        invoices.invoiced_on,
        invoices.due_on,
        invoices.is_disputed,
        invoices.invoice_amount as claim_amount
    from invoices
    inner join owing_customers
        on
            invoices.customer_id = owing_customers.customer_id
            and invoices.currency = owing_customers.currency
    where invoices.invoice_amount > 0
),

credits as (
    select * from all_credits
    where customer_id in (select customer_id from owing_customers)
),

{{ named_changes_ctes() }},

named_credits as (
    select
        document_id,
        sum(named_change_amount) as named_amount
    from named_changes
    group by document_id
),

named_claims as (
    select
        claims.*,
        least(claims.claim_amount, greatest(coalesce(named_credits.named_amount, 0), 0))
            as named_amount
    from claims
    left join named_credits on claims.document_id = named_credits.document_id
    union all
    -- refunded above all that came in: the customer owes the excess at once
    select
        concat('refund:', customer_id, ':', currency) as document_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        customer_id,
        currency,
        'excess_refund' as document_kind,
        last_refunded_on as invoiced_on,
        last_refunded_on as due_on,
        false as is_disputed,
        -settled_amount as claim_amount,
        0 as named_amount
    from owing_customers
    where settled_amount < 0
),

-- each claim in two slices: what its own credits cover is settled before the rest is shared out
slices as (
    select
        *,
        1 as slice_order,
        named_amount as slice_amount
    from named_claims
    union all
    select
        *,
        2 as slice_order,
        claim_amount - named_amount as slice_amount
    from named_claims
),

slices_in_order as (
    select
        slices.*,
        greatest(owing_customers.settled_amount, 0) as settled_amount,
        sum(slices.slice_amount) over (
            partition by slices.customer_id, slices.currency
            order by slices.slice_order, slices.due_on, slices.invoiced_on, slices.document_id
            rows between unbounded preceding and current row
        ) as cumulative_amount
    from slices
    inner join owing_customers
        on
            slices.customer_id = owing_customers.customer_id
            and slices.currency = owing_customers.currency
),

opened_documents as (
    select
        document_id,
        customer_id,
        currency,
        document_kind,
        invoiced_on,
        due_on,
        is_disputed,
        claim_amount,
        sum(greatest(0, least(slice_amount, cumulative_amount - settled_amount))) as open_amount
    from slices_in_order
    group by
        document_id,
        customer_id,
        currency,
        document_kind,
        invoiced_on,
        due_on,
        is_disputed,
        claim_amount
),

final as (
    select
        document_id,
        customer_id,
        {{ as_of_date() }} as as_of,
        currency,
        document_kind,
        invoiced_on,
        due_on,
        cast({{ days_between('invoiced_on', as_of_date()) }} as integer) as age_days,
        cast(greatest({{ days_between('due_on', as_of_date()) }}, 0) as integer) as overdue_days,
        is_disputed,
        cast(claim_amount as decimal(18, 2)) as claim_amount,
        cast(open_amount as decimal(18, 2)) as open_amount
    from opened_documents
    where open_amount > 0
)

select * from final
