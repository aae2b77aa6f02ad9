with measures as (
    select * from {{ ref('strategic_measures') }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
),

service_costs as (
    -- freight is a cost of the goods it moved: in the income, not in what having a customer cost
    select * from {{ ref('fct_customer_costs') }}
    where kind = 'service'
),

-- a feed's columns are null on every row or on none
feeds as (
    select count(acquisition_cost_amount) + count(interaction_cost_amount) > 0 as has_costs_to_win
    from customer_months
),

bounds as (
    select
        max(bound_value) filter (where bound = 'count_peers') as count_peers,
        max(bound_value) filter (where bound = 'concentration_share') as concentration_share
    from {{ ref('strategic_bounds') }}
    where {{ is_in_force() }}
),

month_totals as (
    select
        customer_id,
        {{ sum_amount('acquisition_cost_amount') }} as acquisition_cost_amount,
        {{ sum_amount('interaction_cost_amount') }} as interaction_cost_amount,
        {{ sum_amount(
            'case when month_on = ' ~ month_start(as_of_date())
            ~ ' then open_balance_amount end'
        ) }} as open_balance_amount
    from customer_months
    group by customer_id
),

service_totals as (
    select
        customer_id,
        {{ sum_amount('cost_amount') }} as service_cost_amount
    from service_costs
    group by customer_id
),

costed_customers as (
    select
        measures.*,
        greatest(measures.revenue_12_months_amount, 0) as revenue_amount,
        greatest(measures.margin_12_months_amount, 0) as margin_amount,
        coalesce(month_totals.open_balance_amount, 0) as receivables_amount,
        case
            when feeds.has_costs_to_win
                then
                    coalesce(month_totals.acquisition_cost_amount, 0)
                    + coalesce(month_totals.interaction_cost_amount, 0)
                    + coalesce(service_totals.service_cost_amount, 0)
        end as cost_to_date_amount
    from measures
    cross join feeds
    left join month_totals on measures.customer_id = month_totals.customer_id
    left join service_totals on measures.customer_id = service_totals.customer_id
),

valued_customers as (
    select
        *,
        cast(revenue_amount as double) / nullif(sum(revenue_amount) over (), 0)
            as share_of_revenue,
        cast(margin_amount as double) / nullif(sum(margin_amount) over (), 0) as share_of_margin,
        cast(receivables_amount as double) / nullif(sum(receivables_amount) over (), 0)
            as share_of_receivables,
        -- those under common control count as one
        cast(sum(revenue_amount) over (partition by group_key) as double)
        / nullif(sum(revenue_amount) over (), 0) as group_share_of_revenue,
        cast(sum(receivables_amount) over (partition by group_key) as double)
        / nullif(sum(receivables_amount) over (), 0) as group_share_of_receivables
    from costed_customers
),

peers as (
    select
        valued_customers.industry,
        valued_customers.scale_class,
        count(*) as count_peers,
        median(valued_customers.income_rate) as income_rate_median
    from valued_customers
    where valued_customers.income_rate is not null
    group by valued_customers.industry, valued_customers.scale_class
),

book as (
    select
        count(income_rate) as count_peers,
        median(income_rate) as income_rate_median
    from valued_customers
),

compared_customers as (
    select
        valued_customers.*,
        bounds.concentration_share,
        case
            when book.income_rate_median is null then null
            when peers.count_peers >= bounds.count_peers then 'industry_and_scale'
            else 'whole_book'
        end as market_basis,
        case
            when peers.count_peers >= bounds.count_peers then peers.count_peers
            else book.count_peers
        end as count_peers,
        case
            when peers.count_peers >= bounds.count_peers then peers.income_rate_median
            else book.income_rate_median
        end as income_rate_median
    from valued_customers
    cross join bounds
    cross join book
    left join peers
        on
            valued_customers.industry = peers.industry
            and valued_customers.scale_class = peers.scale_class
),

final as (
    select
        customer_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        group_key,
        revenue_12_months_amount,
        margin_12_months_amount,
        cost_to_serve_12_months_amount,
        cast(cost_to_date_amount as decimal(18, 2)) as value_by_cost_amount,
        income_12_months_amount as value_by_income_amount,
        {{ amount_times('revenue_amount', 'cast(income_rate_median as decimal(18, 8))') }}
            as value_by_market_amount,
        market_basis,
        cast(count_peers as integer) as count_peers,
        income_rate,
        income_rate_median,
        share_of_revenue,
        share_of_margin,
        share_of_receivables,
        group_share_of_revenue,
        group_share_of_receivables,
        -- in points: a book of one customer has 10000
        power(100 * share_of_revenue, 2) as hhi_contribution,
        coalesce(group_share_of_revenue >= concentration_share, false)
        or coalesce(group_share_of_receivables >= concentration_share, false)
            as is_concentration_risk
    from compared_customers
)

select * from final
