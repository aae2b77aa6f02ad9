-- Each dimension of the portraits holds every customer once, and all of the revenue and margin.
with customer_totals as (
    select
        count(*) as count_customers,
        sum(revenue_12_months_amount) as revenue_amount,
        sum(margin_12_months_amount) as margin_amount
    from {{ ref('customer_segments') }}
),

dimension_totals as (
    select
        dimension,
        sum(count_customers) as count_customers,
        sum(revenue_12_months_amount) as revenue_amount,
        sum(margin_12_months_amount) as margin_amount,
        sum(share_of_customers) as share_of_customers,
        sum(share_of_revenue) as share_of_revenue,
        sum(share_of_margin) as share_of_margin
    from {{ ref('segment_profiles') }}
    group by dimension
)

select dimension_totals.*
from dimension_totals
cross join customer_totals
where
    dimension_totals.count_customers <> customer_totals.count_customers
    or dimension_totals.revenue_amount is distinct from customer_totals.revenue_amount
    or dimension_totals.margin_amount is distinct from customer_totals.margin_amount
    -- shares are doubles: they add up to 1 but for their last bits
    or abs(dimension_totals.share_of_customers - 1) > 0.000000001
    or abs(dimension_totals.share_of_revenue - 1) > 0.000000001
    or abs(dimension_totals.share_of_margin - 1) > 0.000000001
