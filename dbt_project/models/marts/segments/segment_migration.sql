{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months() }}",
) }}
-- depends_on: {{ ref('int_months_changed') }}

{%- set classes = followed_classes() %}

with history as (
    select * from {{ ref('customer_segment_history') }}
    where {{ where_month_changed() }}
),

state_months as (
    select distinct
        month_on,
        state_on,
        {{ add_months('month_on', -1) }} as previous_month_on
    from history
),

history_before as (
    select * from {{ ref('customer_segment_history') }}
    where month_on in (select previous_month_on from state_months)
),

segment_dimensions as (
    select * from {{ ref('segment_dimensions') }}
),

class_labels as (
    {%- for dimension, source in {
        'rfm_segment': ('rfm_segment_map', 'segment'),
        'abc_class': ('abc_cut_points', 'abc_class'),
        'lifecycle': ('lifecycle_rules', 'stage'),
        'value_tier': ('value_tiers', 'value_tier'),
        'growth_class': ('growth_classes', 'growth_class'),
    }.items() %}
        -- a segment stands in several rows of its map
        select distinct
            valid_from,
            valid_to,
            '{{ dimension }}' as dimension,
            {{ source[1] }} as class_code,
            label_en,
            label_zh
        from {{ ref(source[0]) }}
        union all
    {%- endfor %}
    select
        valid_from,
        valid_to,
        dimension,
        class_code,
        label_en,
        label_zh
    from segment_dimensions
),

moves as (
    select
        history.month_on,
        history.state_on,
        history.customer_id,
        history.revenue_12_months_amount,
        {%- for class in classes %}
            history.{{ class }} as to_{{ class }},
            history_before.{{ class }} as from_{{ class }},
        {%- endfor %}
        history_before.customer_id is null as is_new_in_month
    from history
    inner join state_months on history.month_on = state_months.month_on
    left join history_before
        on
            history.customer_id = history_before.customer_id
            and state_months.previous_month_on = history_before.month_on
),

-- 'none' is a customer new in the month, 'no_order' one that has no score yet
counted_moves as (
    {%- for class in classes %}
        select
            month_on,
            state_on,
            '{{ class }}' as dimension,
            case when is_new_in_month then 'none' else coalesce(from_{{ class }}, 'no_order') end
                as from_class,
            coalesce(to_{{ class }}, 'no_order') as to_class,
            count(*) as count_customers,
            sum(revenue_12_months_amount) as revenue_12_months_amount
        from moves
        group by
            month_on,
            state_on,
            case when is_new_in_month then 'none' else coalesce(from_{{ class }}, 'no_order') end,
            coalesce(to_{{ class }}, 'no_order')
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

rated_moves as (
    select
        *,
        sum(count_customers) over (partition by month_on, dimension, from_class) as count_from
    from counted_moves
),

final as (
    select
        rated_moves.month_on,
        rated_moves.dimension,
        rated_moves.from_class,
        rated_moves.to_class,
        {{ reporting_currency() }} as currency,
        dimension_labels.label_en as dimension_label_en,
        dimension_labels.label_zh as dimension_label_zh,
        from_labels.label_en as from_class_label_en,
        from_labels.label_zh as from_class_label_zh,
        to_labels.label_en as to_class_label_en,
        to_labels.label_zh as to_class_label_zh,
        cast(rated_moves.count_customers as integer) as count_customers,
        cast(rated_moves.count_from as integer) as count_from,
        {{ mean_of('rated_moves.count_customers', 'rated_moves.count_from') }} as migration_rate,
        cast(rated_moves.revenue_12_months_amount as decimal(18, 2)) as revenue_12_months_amount
    from rated_moves
    left join segment_dimensions as dimension_labels
        on
            rated_moves.dimension = dimension_labels.dimension
            and dimension_labels.class_code is null
            and {{ is_in_force_on('dimension_labels', 'rated_moves.state_on') }}
    left join class_labels as from_labels
        on
            from_labels.dimension in (rated_moves.dimension, 'any')
            and rated_moves.from_class = from_labels.class_code
            and {{ is_in_force_on('from_labels', 'rated_moves.state_on') }}
    left join class_labels as to_labels
        on
            to_labels.dimension in (rated_moves.dimension, 'any')
            and rated_moves.to_class = to_labels.class_code
            and {{ is_in_force_on('to_labels', 'rated_moves.state_on') }}
)

select * from final
