with open_claims as (
    select * from {{ ref('int_open_claims') }}
),

-- what large buyers owe small and medium sellers
statutory_terms as (
    {{ statutory_terms('open_claims') }}
),

ruled_claims as (
    select
        open_claims.*,
        statutory_terms.size_class,
        statutory_terms.statutory_due_on
    from open_claims
    left join statutory_terms on open_claims.document_id = statutory_terms.document_id
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
            when {{ seller_is_large() }} then 'seller_is_large'
            when statutory_due_on is not null then 'covered'
            when size_class is null then 'buyer_size_unknown'
            else 'not_covered'
        end as statutory_status,
        statutory_due_on,
        statutory_due_on < {{ as_of_date() }} as is_statutory_overdue
    from ruled_claims
)

select * from final
