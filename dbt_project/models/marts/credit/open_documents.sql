with invoices as (
    select * from {{ ref('fct_invoices') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
),

-- payments and credit notes pay the claim they name, then the oldest due first
credits as (
    select
        customer_id,
        currency,
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
    from credits
    group by customer_id, currency
),

claims as (
    select
        invoice_id as document_id,
        order_id,
        customer_id,
        currency,
        'invoice' as document_kind,
        invoiced_on,
        due_on,
        is_disputed,
        invoice_amount as claim_amount
    from invoices
    where invoice_amount > 0
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
        -settled_amount as claim_amount
    from settled_totals
    where settled_amount < 0
),

claim_totals as (
    select
        customer_id,
        currency,
        sum(claim_amount) as claimed_amount
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

-- an order may have several claims: the one due first stands for it
claims_of_orders as (
    select
        customer_id,
        currency,
        order_id,
        document_id
    from claims
    where order_id is not null
    qualify row_number() over (
        partition by customer_id, currency, order_id
        order by due_on, invoiced_on, document_id
    ) = 1
),

named_credits as (
    select
        coalesce(named_claims.document_id, claims_of_orders.document_id) as document_id,
        sum(credits.credit_amount) as named_amount
    from credits
    left join claims as named_claims
        on
            credits.reference = named_claims.document_id
            and credits.customer_id = named_claims.customer_id
            and credits.currency = named_claims.currency
    left join claims_of_orders
        on
            coalesce(credits.order_id, credits.reference) = claims_of_orders.order_id
            and credits.customer_id = claims_of_orders.customer_id
            and credits.currency = claims_of_orders.currency
    group by coalesce(named_claims.document_id, claims_of_orders.document_id)
),

named_claims as (
    select
        claims.*,
        least(claims.claim_amount, greatest(coalesce(named_credits.named_amount, 0), 0))
            as named_amount
    from claims
    left join named_credits on claims.document_id = named_credits.document_id
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
        owing_customers.settled_amount,
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
