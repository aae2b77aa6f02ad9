-- Everything that a customer's exposure is made of, piece by piece; what it has paid ahead is
-- negative.
with order_exposures as (
    select * from {{ ref('int_order_exposures') }}
),

open_claims as (
    select * from {{ ref('int_open_claims') }}
    where open_amount > 0
),

open_credits as (
    select * from {{ ref('int_open_credits') }}
    where unapplied_amount > 0
),

bills as (
    select * from {{ ref('int_bills') }}
),

bill_weights as (
    select * from {{ ref('credit_bill_weights') }}
    where {{ is_in_force() }}
),

weighted_bills as (
    select
        bills.*,
        -- a bill that the seed does not know counts in full
        case
            when bills.matures_on >= {{ as_of_date() }} or bill_weights.issuer_kind is null
                then {{ amount_times('bills.bill_amount', 'coalesce(exposure_weight, 1)') }}
            when
                {{ days_between('bills.matures_on', as_of_date()) }}
                <= bill_weights.days_after_maturity
                then {{ amount_times('bills.bill_amount', 'exposure_weight') }}
        end as counted_amount
    from bills
    left join bill_weights
        on
            bills.issuer_kind = bill_weights.issuer_kind
            and bills.ladder_status = bill_weights.ladder_status
),

items as (
    {%- for part, on_date in {
        'undelivered': 'ordered_on', 'unbilled': 'last_moved_on', 'uninvoiced': 'ordered_on',
    }.items() %}
        select
            '{{ part }}' as component,
            order_id as item_id,
            customer_id,
            {{ on_date }} as item_on,
            {{ part }}_amount as face_amount,
            {{ part }}_amount as counted_amount
        from order_exposures
        where {{ part }}_amount > 0
        union all
    {%- endfor %}
    select
        'open_document' as component,
        document_id as item_id,
        customer_id,
        claimed_on as item_on,
        open_amount as face_amount,
        open_amount as counted_amount
    from open_claims
    union all
    select
        case when is_contingent then 'contingent_bill' else 'bill' end as component,
        payment_id as item_id,
        customer_id,
        received_on as item_on,
        bill_amount as face_amount,
        counted_amount
    from weighted_bills
    where counted_amount is not null
    union all
    select
        'credit' as component,
        credit_id as item_id,
        customer_id,
        credited_on as item_on,
        unapplied_amount as face_amount,
        -unapplied_amount as counted_amount
    from open_credits
),

final as (
    select
        component,
        item_id,
        customer_id,
        item_on,
        {{ reporting_currency() }} as currency,
        cast(face_amount as decimal(18, 2)) as face_amount,
        cast(counted_amount as decimal(18, 2)) as counted_amount
    from items
)

select * from final
