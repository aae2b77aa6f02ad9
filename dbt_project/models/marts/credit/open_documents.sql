with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

-- payments and credit notes pay the oldest claim first, whatever they name as their reference
credits as (
    select
        customer_id,
        currency,
        -invoice_amount as credit_amount,
        cast(null as date) as refunded_on
    from invoices
    where invoice_amount < 0
    union all
    select
        customer_id,
        currency,
        credited_amount as credit_amount,
        case when credited_amount < 0 then received_on end as refunded_on
    from payments
),

settled_totals as (
    select
        customer_id,
        currency,
        sum(credit_amount) as settled_amount,
        max(refunded_on) as last_refunded_on
    from credits
    group by customer_id, currency
),

claims as (
    select
        invoice_id as document_id,
        customer_id,
        currency,
        'invoice' as document_kind,
        invoiced_on,
        due_on,
        is_disputed,
        invoice_amount as document_amount
    from invoices
    where invoice_amount > 0
    union all
    -- refunded above all that came in: the customer owes the excess at once
    select
        concat('refund:', customer_id, ':', currency) as document_id,
        customer_id,
        currency,
        'excess_refund' as document_kind,
        last_refunded_on as invoiced_on,
        last_refunded_on as due_on,
        false as is_disputed,
        -settled_amount as document_amount
    from settled_totals
    where settled_amount < 0
),

claim_totals as (
    select
        customer_id,
        currency,
        sum(document_amount) as claimed_amount
    from claims
    group by customer_id, currency
),

-- most customers owe nothing: only the others need the order of their documents
owing_customers as (
    select
        claim_totals.customer_id,
        claim_totals.currency,
        greatest(coalesce(settled_totals.settled_amount, 0), 0) as settled_amount
    from claim_totals
    left join settled_totals
        on
            claim_totals.customer_id = settled_totals.customer_id
            and claim_totals.currency = settled_totals.currency
    where claim_totals.claimed_amount > coalesce(settled_totals.settled_amount, 0)
),

claims_in_order as (
    select
        claims.*,
        owing_customers.settled_amount,
        sum(claims.document_amount) over (
            partition by claims.customer_id, claims.currency
            order by claims.due_on, claims.invoiced_on, claims.document_id
            rows between unbounded preceding and current row
        ) as cumulative_amount
    from claims
    inner join owing_customers
        on
            claims.customer_id = owing_customers.customer_id
            and claims.currency = owing_customers.currency
),

opened_documents as (
    select
        *,
        greatest(0, least(document_amount, cumulative_amount - settled_amount)) as open_amount
    from claims_in_order
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
        cast(document_amount as decimal(18, 2)) as document_amount,
        cast(open_amount as decimal(18, 2)) as open_amount
    from opened_documents
    where open_amount > 0
)

select * from final
