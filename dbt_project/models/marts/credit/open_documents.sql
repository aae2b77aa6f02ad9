with open_claims as (
    select * from {{ ref('int_open_claims') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

-- what large buyers owe small and medium sellers, by the law in force on the invoice's day
statutory_rules as (
    select * from {{ ref('statutory_payment_rules') }}
    where is_seller_small_or_medium
),

ruled_claims as (
    select
        open_claims.*,
        customers.size_class,
        statutory_rules.payment_days,
        {{ add_days('open_claims.claimed_on', 'statutory_rules.payment_days') }}
            as statutory_due_on
    from open_claims
    left join customers on open_claims.customer_id = customers.customer_id
    left join statutory_rules
        on
            customers.size_class = statutory_rules.buyer_size_class
            and open_claims.document_kind = 'invoice'
            and {{ is_in_force_on('statutory_rules', 'open_claims.claimed_on') }}
),

final as (
    select
        document_id,
        customer_id,
        {{ as_of_date() }} as as_of,
        currency,
        document_kind,
        claimed_on as invoiced_on,
        due_on,
        due_on_source,
        cast({{ days_between('claimed_on', as_of_date()) }} as integer) as age_days,
        cast(greatest({{ days_between('due_on', as_of_date()) }}, 0) as integer) as overdue_days,
        is_disputed,
        claim_amount,
        open_amount,
        document_currency,
        document_claim_amount,
        document_open_amount,
        order_id,
        case
            when document_kind <> 'invoice' then 'not_an_invoice'
            when payment_days is not null then 'covered'
            when size_class is null then 'buyer_size_unknown'
            else 'not_covered'
        end as statutory_status,
        statutory_due_on,
        statutory_due_on < {{ as_of_date() }} as is_statutory_overdue
    from ruled_claims
)

select * from final
