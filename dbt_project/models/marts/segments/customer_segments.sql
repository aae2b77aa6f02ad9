{%- set this_month = month_start(as_of_date()) -%}
{#- What the sentences of each class may say. -#}
{%- set numbers = {
    'rfm_segment': {
        'currency': 'history.currency',
        'recency_days': 'lifecycles.recency_days',
        'recency_score': 'history.recency_score',
        'frequency_score': 'history.frequency_score',
        'monetary_score': 'history.monetary_score',
        'count_orders': 'states.count_orders_to_date',
        'revenue_amount': as_money('states.net_revenue_to_date_amount'),
    },
    'abc_class': {
        'currency': 'history.currency',
        'window_months': 'abc.abc_window_months',
        'abc_amount': as_money('abc.abc_amount'),
        'share_before': cut_percentage('abc.share_ahead'),
    },
    'value_tier': {
        'currency': 'history.currency',
        'value_amount': as_money('customer_values.value_to_date_amount'),
        'share_before': cut_percentage('customer_values.share_ahead'),
    },
    'growth_class': {
        'currency': 'history.currency',
        'until': 'customer_values.grown_until_on',
        'since': add_months(this_month, -11),
        'revenue_12': as_money('customer_values.growth_revenue_amount'),
        'revenue_previous_12': as_money('customer_values.growth_previous_amount'),
        'revenue_now': as_money('customer_values.revenue_12_months_amount'),
        'first_ordered_on': 'states.first_ordered_on',
        'growth_percent': cut_percentage('customer_values.revenue_growth_rate'),
    },
    'lifecycle': {
        'recency_days': 'lifecycles.recency_days',
        'season_recency_days': with_decimal_if_any('lifecycles.season_recency_days'),
        'tenure_days': 'lifecycles.tenure_days',
        'customer_since_on': 'lifecycles.customer_since_on',
        'returned_on': 'lifecycles.returned_on',
        'return_gap_days': 'lifecycles.return_gap_days',
        'gap_p95_days': with_decimal_if_any('lifecycles.gap_p95_days'),
        'return_gap_p95_days': with_decimal_if_any('lifecycles.return_gap_p95_days'),
        'threshold_days': with_decimal_if_any('lifecycles.threshold_days'),
        'first_ordered_on': 'states.first_ordered_on',
    },
    'sale_type': {
        'contract_12': 'states.count_contract_orders_12_months',
        'spot_12': 'states.count_spot_orders_12_months',
        'contract': 'states.count_contract_orders_to_date',
        'spot': 'states.count_spot_orders_to_date',
        'since': add_months(this_month, -11),
    },
    'silence': {
        'alive': cut_percentage('values_to_come.probability_alive'),
        'alive_at_least': as_whole('100 * clv_parameters.alive_at_least'),
    },
} -%}

with customers as (
    select * from {{ ref('dim_customers') }}
),

history as (
    select * from {{ rows_of_this_month('customer_segment_history') }}
),

states as (
    select * from {{ rows_of_this_month('int_customer_states') }}
),

rfm as (
    select * from {{ rows_of_this_month('customer_rfm') }}
),

abc as (
    select * from {{ rows_of_this_month('customer_abc') }}
),

lifecycles as (
    select * from {{ rows_of_this_month('customer_lifecycle') }}
),

customer_values as (
    select * from {{ rows_of_this_month('customer_values') }}
),

-- what the value models say today; of past months they cannot be asked without looking ahead
values_to_come as (
    select * from {{ ref('customer_clv') }}
),

clv_parameters as (
    select max(value) as alive_at_least from {{ ref('clv_parameters') }}
    where parameter = 'alive_at_least' and {{ is_in_force() }}
),

rfm_segment_map as (
    select * from {{ ref('rfm_segment_map') }}
    where {{ is_in_force() }}
),

map_version as (
    select max(version) as segment_map_version from rfm_segment_map
),

rfm_labels as (
    select
        segment,
        max(label_en) as label_en,
        max(label_zh) as label_zh
    from rfm_segment_map
    group by segment
),

abc_labels as (
    select * from {{ ref('abc_cut_points') }}
    where {{ is_in_force() }}
),

lifecycle_rules as (
    select * from {{ ref('lifecycle_rules') }}
    where {{ is_in_force() }}
),

tier_labels as (
    select * from {{ ref('value_tiers') }}
    where {{ is_in_force() }}
),

growth_labels as (
    select * from {{ ref('growth_classes') }}
    where {{ is_in_force() }}
),

segment_reasons as (
    select * from {{ ref('segment_reasons') }}
    where {{ is_in_force() }}
),

-- which sentence tells why
reason_codes as (
    select
        history.customer_id,
        case when history.rfm_segment is null then 'no_order' else 'scored' end as rfm_segment,
        case
            when abc.abc_amount is null then 'unknown'
            when abc.abc_amount <= 0 and abc.abc_basis = 'revenue' then 'no_revenue'
            when abc.abc_amount <= 0 then 'nothing'
            else abc.abc_basis
        end as abc_class,
        customer_values.value_tier_reason_code as value_tier,
        customer_values.growth_class_reason_code as growth_class,
        case
            when states.count_orders_to_date = 0 then 'no_order'
            when
                states.count_contract_orders_12_months + states.count_spot_orders_12_months > 0
                then 'recent'
            when states.count_contract_orders_to_date + states.count_spot_orders_to_date > 0
                then 'to_date'
            else 'unstated'
        end as sale_type,
        case
            when lifecycles.is_silent_by_rhythm and values_to_come.is_silent_by_model then 'both'
            when lifecycles.is_silent_by_rhythm and not values_to_come.is_silent_by_model
                then 'rhythm'
            when not lifecycles.is_silent_by_rhythm and values_to_come.is_silent_by_model
                then 'model'
            when not lifecycles.is_silent_by_rhythm and not values_to_come.is_silent_by_model
                then 'neither'
            when values_to_come.is_silent_by_model then 'model_silent'
            when not values_to_come.is_silent_by_model then 'model_alive'
            when lifecycles.is_silent_by_rhythm then 'rhythm_silent'
            when not lifecycles.is_silent_by_rhythm then 'rhythm_alive'
            else 'unknown'
        end as silence
    from history
    inner join states on history.customer_id = states.customer_id
    inner join abc on history.customer_id = abc.customer_id
    inner join customer_values on history.customer_id = customer_values.customer_id
    inner join lifecycles on history.customer_id = lifecycles.customer_id
    inner join values_to_come on history.customer_id = values_to_come.customer_id
),

final as (
    select
        customers.customer_id,
        {{ as_of_date() }} as as_of,
        history.currency,
        -- orders
        lifecycles.recency_days,
        lifecycles.season_recency_days,
        lifecycles.gap_median_days,
        lifecycles.gap_p95_days,
        states.count_orders_to_date as count_orders,
        states.revenue_to_date_amount as revenue_amount,
        -- no order costs nothing; an order of unknown cost has no margin
        cast(
            case
                when customer_values.value_basis = 'margin' and states.count_orders_to_date = 0
                    then 0
                else states.margin_to_date_amount
            end as decimal(18, 2)
        ) as margin_amount,
        history.revenue_12_months_amount,
        history.margin_12_months_amount,
        states.revenue_previous_12_months_amount,
        customer_values.revenue_growth_rate,
        -- recency, frequency, monetary
        history.recency_score,
        history.frequency_score,
        history.monetary_score,
        rfm.rfm_code,
        history.rfm_segment,
        rfm_labels.label_en as rfm_segment_label_en,
        rfm_labels.label_zh as rfm_segment_label_zh,
        {{ fill_in('rfm_reasons.reason_en', numbers.rfm_segment) }} as rfm_segment_reason_en,
        {{ fill_in('rfm_reasons.reason_zh', numbers.rfm_segment) }} as rfm_segment_reason_zh,
        history.previous_rfm_segment,
        history.rfm_segment_since_on,
        -- ABC
        history.abc_class,
        abc_labels.label_en as abc_class_label_en,
        abc_labels.label_zh as abc_class_label_zh,
        {{ fill_in('abc_reasons.reason_en', numbers.abc_class) }} as abc_class_reason_en,
        {{ fill_in('abc_reasons.reason_zh', numbers.abc_class) }} as abc_class_reason_zh,
        history.abc_revenue_class,
        abc.cumulative_margin_share,
        history.previous_abc_class,
        history.abc_class_since_on,
        -- lifecycle
        history.lifecycle,
        lifecycle_rules.label_en as lifecycle_label_en,
        lifecycle_rules.label_zh as lifecycle_label_zh,
        case
            when lifecycles.threshold_basis = 'own_rhythm'
                then {{ fill_in('lifecycle_rules.rhythm_reason_en', numbers.lifecycle) }}
            else {{ fill_in('lifecycle_rules.reason_en', numbers.lifecycle) }}
        end as lifecycle_reason_en,
        case
            when lifecycles.threshold_basis = 'own_rhythm'
                then {{ fill_in('lifecycle_rules.rhythm_reason_zh', numbers.lifecycle) }}
            else {{ fill_in('lifecycle_rules.reason_zh', numbers.lifecycle) }}
        end as lifecycle_reason_zh,
        lifecycles.lifecycle_basis,
        lifecycles.is_silent_by_rhythm,
        values_to_come.probability_alive,
        values_to_come.is_silent_by_model,
        {{ fill_in('silence_reasons.reason_en', numbers.silence) }} as silence_reason_en,
        {{ fill_in('silence_reasons.reason_zh', numbers.silence) }} as silence_reason_zh,
        history.previous_lifecycle,
        history.lifecycle_since_on,
        -- value
        customer_values.value_to_date_amount,
        history.value_tier,
        tier_labels.label_en as value_tier_label_en,
        tier_labels.label_zh as value_tier_label_zh,
        {{ fill_in('tier_reasons.reason_en', numbers.value_tier) }} as value_tier_reason_en,
        {{ fill_in('tier_reasons.reason_zh', numbers.value_tier) }} as value_tier_reason_zh,
        history.previous_value_tier,
        history.value_tier_since_on,
        -- growth
        history.growth_class,
        growth_labels.label_en as growth_class_label_en,
        growth_labels.label_zh as growth_class_label_zh,
        {{ fill_in('growth_reasons.reason_en', numbers.growth_class) }} as growth_class_reason_en,
        {{ fill_in('growth_reasons.reason_zh', numbers.growth_class) }} as growth_class_reason_zh,
        history.previous_growth_class,
        history.growth_class_since_on,
        -- what the customer is
        customers.size_class as scale_class,
        customers.industry,
        customers.region,
        case
            when
                states.count_contract_orders_12_months > 0
                and states.count_spot_orders_12_months > 0
                then 'mixed'
            when states.count_contract_orders_12_months > 0 then 'contract'
            when states.count_spot_orders_12_months > 0 then 'spot'
            when
                states.count_contract_orders_to_date > 0
                and states.count_spot_orders_to_date > 0
                then 'mixed'
            when states.count_contract_orders_to_date > 0 then 'contract'
            when states.count_spot_orders_to_date > 0 then 'spot'
        end as sale_type,
        {{ fill_in('sale_type_reasons.reason_en', numbers.sale_type) }} as sale_type_reason_en,
        {{ fill_in('sale_type_reasons.reason_zh', numbers.sale_type) }} as sale_type_reason_zh,
        map_version.segment_map_version
    from customers
    cross join map_version
    cross join clv_parameters
    inner join history on customers.customer_id = history.customer_id
    inner join reason_codes on customers.customer_id = reason_codes.customer_id
    inner join states on customers.customer_id = states.customer_id
    inner join abc on customers.customer_id = abc.customer_id
    inner join lifecycles on customers.customer_id = lifecycles.customer_id
    inner join customer_values on customers.customer_id = customer_values.customer_id
    inner join values_to_come on customers.customer_id = values_to_come.customer_id
    inner join lifecycle_rules on history.lifecycle = lifecycle_rules.stage
    inner join abc_labels on history.abc_class = abc_labels.abc_class
    inner join tier_labels on history.value_tier = tier_labels.value_tier
    left join rfm on customers.customer_id = rfm.customer_id
    left join rfm_labels on history.rfm_segment = rfm_labels.segment
    left join growth_labels on history.growth_class = growth_labels.growth_class
    left join segment_reasons as rfm_reasons
        on
            rfm_reasons.dimension = 'rfm_segment'
            and reason_codes.rfm_segment = rfm_reasons.reason_code
    left join segment_reasons as abc_reasons
        on
            abc_reasons.dimension = 'abc_class'
            and reason_codes.abc_class = abc_reasons.reason_code
    left join segment_reasons as tier_reasons
        on
            tier_reasons.dimension = 'value_tier'
            and reason_codes.value_tier = tier_reasons.reason_code
    left join segment_reasons as growth_reasons
        on
            growth_reasons.dimension = 'growth_class'
            and reason_codes.growth_class = growth_reasons.reason_code
    left join segment_reasons as sale_type_reasons
        on
            sale_type_reasons.dimension = 'sale_type'
            and reason_codes.sale_type = sale_type_reasons.reason_code
    left join segment_reasons as silence_reasons
        on
            silence_reasons.dimension = 'silence'
            and reason_codes.silence = silence_reasons.reason_code
)

select * from final
