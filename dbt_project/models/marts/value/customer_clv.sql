with customers as (
    select * from {{ ref('dim_customers') }}
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

-- one basis for the whole company: values on cost and on revenue do not compare
margin_basis as (
    select case when count(margin_amount) > 0 then 'cost' else 'revenue' end as margin_basis
    from customer_totals
),

valued_customers as (
    select
        customers.customer_id,
        margin_basis.margin_basis,
        customer_totals.first_ordered_on,
        coalesce(customer_totals.count_orders, 0) as count_orders,
        coalesce(customer_totals.revenue_amount, 0) as revenue_amount,
        case
            when margin_basis.margin_basis = 'cost' and customer_totals.customer_id is null then 0
            else customer_totals.margin_amount
        end as margin_amount
    from customers
    cross join margin_basis
    left join customer_totals on customers.customer_id = customer_totals.customer_id
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
        cast(margin_amount as decimal(18, 2)) as historical_margin_amount,
        -- no feed of customer costs yet: nothing is taken off
        cast(
            case when margin_basis = 'cost' then margin_amount else revenue_amount end
            as decimal(18, 2)
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
