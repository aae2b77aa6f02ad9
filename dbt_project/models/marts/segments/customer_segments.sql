with customers as (
    select * from {{ ref('dim_customers') }}
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

customer_values as (
    select * from {{ ref('customer_clv') }}
),

rfm as (
    select * from {{ ref('customer_rfm') }}
),

abc as (
    select * from {{ ref('customer_abc') }}
),

lifecycles as (
    select * from {{ ref('customer_lifecycle') }}
),

map_version as (
    select max(version) as segment_map_version from {{ ref('rfm_segment_map') }}
    where {{ is_in_force() }}
),

final as (
    select
        customers.customer_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        lifecycles.recency_days,
        customer_values.count_orders,
        customer_values.historical_revenue_amount as revenue_amount,
        customer_values.historical_margin_amount as margin_amount,
        rfm.recency_score,
        rfm.frequency_score,
        rfm.monetary_score,
        rfm.rfm_code,
        rfm.rfm_segment,
        rfm.rfm_segment_label_en,
        rfm.rfm_segment_label_zh,
        abc.abc_class,
        abc.abc_revenue_class,
        abc.cumulative_margin_share,
        lifecycles.lifecycle,
        lifecycles.lifecycle_label_en,
        lifecycles.lifecycle_label_zh,
        lifecycles.lifecycle_reason_en,
        lifecycles.lifecycle_reason_zh,
        customers.size_class as scale_class,
        customers.industry,
        customer_totals.sale_type,
        map_version.segment_map_version
    from customers
    cross join map_version
    inner join customer_values on customers.customer_id = customer_values.customer_id
    inner join abc on customers.customer_id = abc.customer_id
    inner join lifecycles on customers.customer_id = lifecycles.customer_id
    left join customer_totals on customers.customer_id = customer_totals.customer_id
    left join rfm on customers.customer_id = rfm.customer_id
)

select * from final
