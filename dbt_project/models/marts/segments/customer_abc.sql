with customer_values as (
    select
        customer_id,
        historical_revenue_amount,
        historical_clv_amount
    from {{ ref('customer_clv') }}
),

abc_cut_points as (
    select * from {{ ref('abc_cut_points') }}
    where {{ is_in_force() }}
),

-- what brings nothing or a loss takes no part in the cumulation and is C
abc_amounts as (
    select
        customer_id,
        greatest(coalesce(historical_clv_amount, 0), 0) as value_amount,
        greatest(historical_revenue_amount, 0) as revenue_amount
    from customer_values
),

cumulated_amounts as (
    select
        customer_id,
        value_amount,
        revenue_amount,
        -- the range takes equals together, so that they share a class
        sum(value_amount) over (order by value_amount desc) as value_through,
        sum(value_amount) over (partition by value_amount) as value_of_equals,
        sum(value_amount) over () as value_total,
        sum(revenue_amount) over (order by revenue_amount desc) as revenue_through,
        sum(revenue_amount) over (partition by revenue_amount) as revenue_of_equals,
        sum(revenue_amount) over () as revenue_total
    from abc_amounts
),

abc_cuts as (
    select
        cast(max(share_before_from) filter (where abc_class = 'B') as decimal(5, 4)) as b_from,
        cast(max(share_before_from) filter (where abc_class = 'C') as decimal(5, 4)) as c_from
    from abc_cut_points
),

final as (
    select
        cumulated_amounts.customer_id,
        {{ as_of_date() }} as as_of,
        {{ abc_class_of('value') }} as abc_class,
        {{ abc_class_of('revenue') }} as abc_revenue_class,
        case
            when cumulated_amounts.value_total > 0
                then
                    cast(cumulated_amounts.value_through as double)
                    / cast(cumulated_amounts.value_total as double)
        end as cumulative_margin_share
    from cumulated_amounts
    cross join abc_cuts
)

select * from final
