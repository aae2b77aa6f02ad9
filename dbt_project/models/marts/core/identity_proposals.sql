with customers as (
    select * from {{ ref('dim_customers') }}
    where not is_derived
),

landed_customers as (
    select * from {{ ref('int_customers') }}
    where customer_id in (select customer_id from customers)
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

identities as (
    select * from {{ ref('stg_landing__identities') }}
),

-- what two records of one customer would have in common
marks as (
    select
        customer_id,
        'legal_id' as basis,
        {{ normalised_legal_id('legal_id') }} as matched_value
    from landed_customers
    where legal_id is not null
    union all
    select
        customer_id,
        'name' as basis,
        {{ normalised_name('customer_name') }} as matched_value
    from landed_customers
    where customer_name is not null
),

shared_marks as (
    select * from marks
    qualify
        count(*) over (partition by basis, matched_value) between 2 and {{ most_customers_alike() }}
),

-- judged here, on few rows: a filter on the marks would normalise every one of them again
marked_pairs as (
    select
        marks.customer_id,
        other_marks.customer_id as other_customer_id,
        marks.basis,
        marks.matched_value,
        case
            when marks.basis = 'legal_id' then {{ is_telling_legal_id('marks.matched_value') }}
            else marks.matched_value <> ''
        end as is_telling
    from shared_marks as marks
    inner join shared_marks as other_marks
        on
            marks.basis = other_marks.basis
            and marks.matched_value = other_marks.matched_value
            and marks.customer_id < other_marks.customer_id
),

-- a pair alike in both goes by the registration number
pairs as (
    select * from marked_pairs
    qualify row_number() over (
        partition by customer_id, other_customer_id
        order by case when is_telling then 0 else 1 end asc, basis asc
    ) = 1
),

decided_pairs as (
    select distinct
        least(from_customer_id, to_customer_id) as customer_id,
        greatest(from_customer_id, to_customer_id) as other_customer_id
    from identities
    where kind in ('merge', 'rekey', 'distinct')
),

open_pairs as (
    select pairs.*
    from pairs
    left join decided_pairs
        on
            pairs.customer_id = decided_pairs.customer_id
            and pairs.other_customer_id = decided_pairs.other_customer_id
    where pairs.is_telling and decided_pairs.customer_id is null
),

final as (
    select
        open_pairs.customer_id,
        open_pairs.other_customer_id,
        open_pairs.basis,
        open_pairs.matched_value,
        customers.customer_name,
        other_customers.customer_name as other_customer_name,
        cast(coalesce(customer_totals.count_orders, 0) as integer) as count_orders,
        cast(coalesce(other_totals.count_orders, 0) as integer) as other_count_orders,
        {{ reporting_currency() }} as currency,
        cast(coalesce(customer_totals.revenue_amount, 0) as decimal(18, 2)) as revenue_amount,
        cast(coalesce(other_totals.revenue_amount, 0) as decimal(18, 2)) as other_revenue_amount
    from open_pairs
    inner join customers on open_pairs.customer_id = customers.customer_id
    inner join customers as other_customers
        on open_pairs.other_customer_id = other_customers.customer_id
    left join customer_totals on open_pairs.customer_id = customer_totals.customer_id
    left join customer_totals as other_totals
        on open_pairs.other_customer_id = other_totals.customer_id
)

select * from final
