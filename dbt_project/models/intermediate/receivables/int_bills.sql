-- Bills of acceptance as of the date: what stands on the asset side or can still come back.
with payments as (
    select
        *,
        -- the ledger counts one without a maturity as cash on receipt; when it matures nobody knows
        coalesce(bill_matures_on, settled_on, dishonoured_on) as matures_on,
        -- a bill was paid or refused at its maturity, where nothing else is known
        coalesce(
            bill_status_on,
            case when bill_status in ('matured', 'dishonoured') then bill_matures_on end
        ) as status_known_on
    from {{ ref('fct_payments') }}
    where
        method in ('bank_acceptance', 'commercial_acceptance')
        and payment_amount > 0
        and coalesce(dishonoured_on > {{ as_of_date() }}, true)
),

statuses as (
    select
        *,
        case
            when status_known_on > {{ as_of_date() }} or bill_status is null then 'held'
            else bill_status
        end as known_status
    from payments
),

final as (
    select
        payment_id,
        customer_id,
        method as issuer_kind,
        bill_no,
        received_on,
        matures_on,
        bill_matures_on is null as has_no_maturity,
        case
            when known_status = 'held' and bill_matures_on is null then 'maturity_unknown'
            when known_status = 'held' and matures_on < {{ as_of_date() }}
                then 'matured_without_status'
            else known_status
        end as ladder_status,
        currency,
        document_currency,
        document_amount as document_bill_amount,
        payment_amount as bill_amount,
        coalesce(settled_on, dishonoured_on) > {{ as_of_date() }} as is_outstanding,
        -- passed on with recourse: the holder can come back to us until the drawee pays
        known_status in ('endorsed', 'discounted') as is_contingent
    from statuses
    where
        known_status = 'held'
        or (
            known_status in ('endorsed', 'discounted')
            and matures_on >= {{ as_of_date() }}
        )
)

select * from final
