with credits as (
    select * from {{ ref('int_open_credits') }}
),

final as (
    select
        credit_id,
        customer_id,
        {{ as_of_date() }} as as_of,
        credit_kind,
        case
            when held_from is not null and held_until is null then 'prepayment_held'
            when credit_kind = 'credit_note' then 'credit_note_unapplied'
            else 'cash_unapplied'
        end as credit_status,
        payment_id,
        credit_note_id,
        named_order_id,
        reference,
        reference_status,
        credited_on,
        cast({{ days_between('credited_on', as_of_date()) }} as integer) as age_days,
        is_bill,
        currency,
        credit_amount,
        unapplied_amount,
        document_currency,
        document_amount as document_credit_amount,
        document_unapplied_amount
    from credits
)

select * from final
