{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('payment_id', changed_rows('payments')) }}",
) }}
-- depends_on: {{ ref('int_rows_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with payments as (
    select * from {{ ref('stg_landing__payments') }}
    where
        received_on <= {{ as_of_date() }}
        and {{ where_changed('payment_id', changed_rows('payments')) }}
),

fx_days as (
    select * from {{ ref('stg_landing__fx_days') }}
),

rated_payments as (
    select
        payments.*,
        {{ rate_into_reporting('payments.currency', 'fx_days.rate') }} as fx_rate,
        case when payments.kind in ('refund', 'chargeback') then -1 else 1 end as kind_sign
    from payments
    left join fx_days
        on payments.currency = fx_days.currency and payments.received_on = fx_days.valid_on
),

signed_payments as (
    select
        *,
        paid_amount * kind_sign as document_amount,
        {{ in_reporting_currency('paid_amount', 'fx_rate') }} * kind_sign as payment_amount,
        -- the day of the refusal, else the day it should have been cash
        case
            when bill_status = 'dishonoured'
                then greatest(
                    coalesce(bill_status_on, bill_matures_on, received_on), received_on
                )
        end as dishonoured_on,
        -- the day it was passed on, discounted or paid
        case
            when bill_status in ('endorsed', 'discounted', 'matured') then bill_status_on
        end as bill_ended_on
    from rated_payments
),

final as (
    select
        payment_id,
        customer_id,
        source_customer_id,
        received_at,
        received_on,
        -- a bill is cash on the day it is passed on or paid, where that is not known on the day it
        -- matures; a dishonoured bill never is
        case
            when dishonoured_on is not null then null
            when method in ('bank_acceptance', 'commercial_acceptance')
                then greatest(
                    coalesce(bill_ended_on, bill_matures_on, received_on), received_on
                )
            else received_on
        end as settled_on,
        kind,
        method,
        {{ reporting_currency() }} as currency,
        signed_payments.currency as document_currency,
        fx_rate,
        cast(document_amount as decimal(18, 2)) as document_amount,
        cast(payment_amount as decimal(18, 2)) as payment_amount,
        reference,
        order_id,
        bill_no,
        bill_matures_on,
        bill_status,
        bill_status_on,
        -- what the customer's account is credited with on receipt
        cast(
            case when dishonoured_on <= {{ as_of_date() }} then 0 else payment_amount end
            as decimal(18, 2)
        ) as credited_amount,
        dishonoured_on
    from signed_payments
)

select * from final
where {{ only_changed('payments') }}
