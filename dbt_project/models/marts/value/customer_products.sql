with customers as (
    select
        customer_id,
        industry
    from {{ ref('dim_customers') }}
),

-- the only reading of the lines for affinity, gaps and portraits
order_lines as (
    select
        customer_id,
        product_id,
        order_id,
        ordered_on,
        weight_tonnes,
        revenue_amount,
        margin_amount
    from {{ ref('fct_order_lines') }}
    where
        not is_cancelled
        and product_id is not null
        and ordered_on > {{ add_months(as_of_date(), '-' ~ affinity_rule('window_months')) }}
),

product_totals as (
    select
        customer_id,
        product_id,
        count(distinct order_id) as count_orders,
        min(ordered_on) as first_ordered_on,
        max(ordered_on) as last_ordered_on,
        sum(weight_tonnes) as weight_tonnes,
        sum(revenue_amount) as revenue_amount,
        -- one line of unknown cost leaves the margin unknown
        case when count(margin_amount) = count(*) then sum(margin_amount) end as margin_amount
    from order_lines
    group by customer_id, product_id
),

buyers as (
    select
        product_totals.customer_id,
        customers.industry,
        count(*) over (partition by customers.industry) as count_peers
    from (select distinct customer_id from product_totals) as product_totals
    inner join customers on product_totals.customer_id = customers.customer_id
),

final as (
    select
        product_totals.customer_id,
        product_totals.product_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        case
            when
                buyers.industry is not null
                and buyers.count_peers >= {{ affinity_rule('min_peer_customers') }}
                then buyers.industry
            else 'all'
        end as peer_group,
        cast(product_totals.count_orders as integer) as count_orders,
        product_totals.first_ordered_on,
        product_totals.last_ordered_on,
        cast(product_totals.weight_tonnes as decimal(18, 4)) as weight_tonnes,
        cast(product_totals.revenue_amount as decimal(18, 2)) as revenue_amount,
        cast(product_totals.margin_amount as decimal(18, 2)) as margin_amount,
        {{ mean_of(
            'product_totals.revenue_amount',
            'sum(product_totals.revenue_amount) over (partition by product_totals.customer_id)',
        ) }} as revenue_share
    from product_totals
    inner join buyers on product_totals.customer_id = buyers.customer_id
)

select * from final
