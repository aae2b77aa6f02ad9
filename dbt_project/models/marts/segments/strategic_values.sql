with measures as (
    select * from {{ ref('strategic_measures') }}
),

balances as (
    select * from {{ ref('fct_customer_months') }}
    where month_on = {{ month_start(as_of_date()) }}
),

customer_costs as (
    select * from {{ ref('fct_customer_costs') }}
),

interactions as (
    select * from {{ ref('fct_interactions') }}
),

complaints as (
    select * from {{ ref('fct_complaints') }}
),

feeds as (
    select
        max(case when feed in ('customer_costs', 'interactions') then 1 else 0 end) = 1
            as has_costs_to_win,
        count(*) > 0 as has_costs_to_serve
    from {{ ref('stg_landing__feeds') }}
    where is_configured and feed in ('customer_costs', 'interactions', 'complaints')
),

bounds as (
    select
        max(bound_value) filter (where bound = 'count_peers') as count_peers,
        max(bound_value) filter (where bound = 'concentration_share') as concentration_share
    from {{ ref('strategic_bounds') }}
    where {{ is_in_force() }}
),

costs as (
    select
        customer_id,
        incurred_on as cost_on,
        kind,
        cost_amount
    from customer_costs
    union all
    select
        customer_id,
        occurred_on as cost_on,
        'interaction' as kind,
        cost_amount
    from interactions
    union all
    select
        customer_id,
        coalesce(resolved_on, opened_on) as cost_on,
        'compensation' as kind,
        compensation_amount as cost_amount
    from complaints
),

cost_totals as (
    select
        customer_id,
        -- freight is a cost of the goods delivered, not of having the customer
        {{ sum_amount(
            "case when kind in ('acquisition', 'service', 'interaction') then cost_amount end"
        ) }} as cost_to_date_amount,
        {{ sum_amount(
            "case when kind <> 'acquisition' and cost_on > " ~ add_months(as_of_date(), -12)
            ~ ' then cost_amount end'
        ) }} as cost_to_serve_amount
    from costs
    group by customer_id
),

costed_customers as (
    select
        measures.*,
        greatest(measures.revenue_12_months_amount, 0) as revenue_amount,
        greatest(measures.margin_12_months_amount, 0) as margin_amount,
        coalesce(balances.open_balance_amount, 0) as receivables_amount,
        case
            when feeds.has_costs_to_win then coalesce(cost_totals.cost_to_date_amount, 0)
        end as cost_to_date_amount,
        case
            when feeds.has_costs_to_serve then coalesce(cost_totals.cost_to_serve_amount, 0)
        end as cost_to_serve_amount
    from measures
    cross join feeds
    left join balances on measures.customer_id = balances.customer_id
    left join cost_totals on measures.customer_id = cost_totals.customer_id
),

valued_customers as (
    select
        *,
        margin_12_months_amount - coalesce(cost_to_serve_amount, 0) as income_amount,
        case
            when revenue_amount > 0
                then
                    cast(margin_12_months_amount - coalesce(cost_to_serve_amount, 0) as double)
                    / revenue_amount
        end as income_rate,
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
        cast(cost_to_serve_amount as decimal(18, 2)) as cost_to_serve_12_months_amount,
        cast(cost_to_date_amount as decimal(18, 2)) as value_by_cost_amount,
        cast(income_amount as decimal(18, 2)) as value_by_income_amount,
        {{ to_amount('cast(income_rate_median as decimal(18, 8)) * revenue_amount') }}
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
