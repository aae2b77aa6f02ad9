-- The panel's customers and their numbers: whole numbers join and sort faster than keys do.
with claims as (
    select * from {{ ref('int_receivable_claims') }}
    where claim_amount is not null
),

credits as (
    select * from {{ ref('int_receivable_credits') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

document_starts as (
    select
        customer_id,
        min(claimed_on) as started_on
    from claims
    group by customer_id
    union all
    select
        customer_id,
        min(credited_on) as started_on
    from credits
    group by customer_id
),

starts as (
    select
        customer_id,
        {{ month_start('min(started_on)') }} as first_month_on
    from document_starts
    group by customer_id
),

final as (
    select
        cast(row_number() over (order by starts.customer_id) - 1 as integer) as customer_no,
        starts.customer_id,
        starts.first_month_on,
        cast({{ month_number('starts.first_month_on') }} as integer) as first_month_no,
        cast({{ month_number(as_of_date()) }} as integer) as last_month_no,
        least(
            starts.first_month_on, {{ month_start('customers.first_ordered_on') }},
            {{ month_start('customers.onboarded_on') }}
        ) as known_since_month_on
    from starts
    left join customers on starts.customer_id = customers.customer_id
)

select * from final
