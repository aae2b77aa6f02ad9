with customers as (
    select * from {{ ref('dim_customers') }}
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
),

month_totals as (
    select
        customer_id,
        count(margin_amount) as count_costed_months,
        sum(returns_amount) as returns_amount,
        sum(net_margin_amount) as net_margin_amount,
        sum(acquisition_cost_amount) as acquisition_cost_amount,
        sum(cost_to_serve_amount) as cost_to_serve_amount
    from customer_months
    group by customer_id
),

-- one basis for the whole company: values on cost and on revenue do not compare
margin_basis as (
    select
        case when count(margin_amount) > 0 then 'cost' else 'revenue' end as margin_basis,
        -- a feed's columns are null on every row or on none
        count(acquisition_cost_amount) > 0 as has_acquisition_costs,
        count(cost_to_serve_amount) > 0 as has_costs_to_serve
    from customer_months
),

valued_customers as (
    select
        customers.customer_id,
        margin_basis.margin_basis,
        customer_totals.first_ordered_on,
        coalesce(customer_totals.count_orders, 0) as count_orders,
        coalesce(customer_totals.revenue_amount, 0) as revenue_amount,
        coalesce(month_totals.returns_amount, 0) as returns_amount,
        case
            when margin_basis.margin_basis = 'cost' and customer_totals.customer_id is null then 0
            else customer_totals.margin_amount
        end as margin_amount,
        -- orders of which none has a known cost have no margin, and returns alone are not one
        case
            when customer_totals.customer_id is null or month_totals.count_costed_months > 0
                then coalesce(month_totals.net_margin_amount, 0)
        end as net_margin_amount,
        {{ zero_where_fed(
            'margin_basis.has_acquisition_costs', 'month_totals.acquisition_cost_amount'
        ) }} as acquisition_cost_amount,
        {{ zero_where_fed(
            'margin_basis.has_costs_to_serve', 'month_totals.cost_to_serve_amount'
        ) }} as cost_to_serve_amount
    from customers
    cross join margin_basis
    left join customer_totals on customers.customer_id = customer_totals.customer_id
    left join month_totals on customers.customer_id = month_totals.customer_id
),

final as (
    select
        customer_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        first_ordered_on,
        cast({{ days_between('first_ordered_on', as_of_date()) }} as integer) as tenure_days,
        cast(count_orders as integer) as count_orders,
        cast(revenue_amount as decimal(18, 2)) as historical_revenue_amount,
        cast(returns_amount as decimal(18, 2)) as historical_returns_amount,
        cast(margin_amount as decimal(18, 2)) as historical_margin_amount,
        cast(acquisition_cost_amount as decimal(18, 2)) as acquisition_cost_amount,
        cast(cost_to_serve_amount as decimal(18, 2)) as cost_to_serve_amount,
        cast(
            case
                when margin_basis = 'revenue' then revenue_amount - returns_amount
                else
                    net_margin_amount
                    - coalesce(acquisition_cost_amount, 0)
                    - coalesce(cost_to_serve_amount, 0)
            end as decimal(18, 2)
        ) as historical_clv_amount,
        -- decimals divide as doubles: six decimals bring an exact half back before it is rounded
        case
            when count_orders > 0
                then {{ to_amount('cast(revenue_amount / count_orders as decimal(28, 6))') }}
        end as average_order_amount,
        margin_basis,
        'historical' as model_version
    from valued_customers
)

select * from final
