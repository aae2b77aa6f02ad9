with customers as (
    select * from {{ ref('dim_customers') }}
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

lifecycle_rules as (
    select * from {{ ref('lifecycle_rules') }}
    where {{ is_in_force() }}
),

order_ages as (
    select
        customers.customer_id,
        customer_totals.count_orders,
        customer_totals.first_ordered_on,
        {{ days_between('customer_totals.last_ordered_on', as_of_date()) }} as recency_days,
        {{ days_between('customer_totals.first_ordered_on', as_of_date()) }} as tenure_days,
        {{ days_between('customer_totals.previous_ordered_on', 'customer_totals.last_ordered_on') }}
            as gap_days
    from customers
    left join customer_totals on customers.customer_id = customer_totals.customer_id
),

stage_days as (
    select
        max(threshold_days) filter (where stage = 'new') as new_days,
        max(threshold_days) filter (where stage = 'reactivated') as reactivated_days,
        max(threshold_days) filter (where stage = 'active') as active_days,
        max(threshold_days) filter (where stage = 'slowing') as slowing_days,
        max(threshold_days) filter (where stage = 'at_risk') as at_risk_days,
        max(threshold_days) filter (where stage = 'dormant') as dormant_days
    from lifecycle_rules
),

staged_customers as (
    select
        order_ages.*,
        case
            when order_ages.recency_days is null then 'potential'
            when order_ages.tenure_days <= stage_days.new_days then 'new'
            when
                order_ages.gap_days > stage_days.reactivated_days
                and order_ages.recency_days <= stage_days.active_days
                then 'reactivated'
            when order_ages.recency_days <= stage_days.active_days then 'active'
            when order_ages.recency_days <= stage_days.slowing_days then 'slowing'
            when order_ages.recency_days <= stage_days.at_risk_days then 'at_risk'
            when order_ages.recency_days <= stage_days.dormant_days then 'dormant'
            else 'lost'
        end as lifecycle
    from order_ages
    cross join stage_days
),

final as (
    select
        staged_customers.customer_id,
        {{ as_of_date() }} as as_of,
        cast(staged_customers.recency_days as integer) as recency_days,
        cast(staged_customers.gap_days as integer) as gap_days,
        staged_customers.lifecycle,
        lifecycle_rules.label_en as lifecycle_label_en,
        lifecycle_rules.label_zh as lifecycle_label_zh,
        {{ fill_in_days('lifecycle_rules.reason_en') }} as lifecycle_reason_en,
        {{ fill_in_days('lifecycle_rules.reason_zh') }} as lifecycle_reason_zh
    from staged_customers
    inner join lifecycle_rules on staged_customers.lifecycle = lifecycle_rules.stage
)

select * from final
