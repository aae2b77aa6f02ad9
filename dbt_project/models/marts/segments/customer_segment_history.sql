{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months() }}",
) }}
-- depends_on: {{ ref('int_months_changed') }}

{%- set classes = followed_classes() %}
{%- set carry_in = is_incremental() and not run_asks_for_rebuild() %}

with states as (
    select * from {{ ref('int_customer_states') }}
    where {{ where_month_changed() }}
),

rfm as (
    select * from {{ ref('customer_rfm') }}
    where {{ where_month_changed() }}
),

abc as (
    select * from {{ ref('customer_abc') }}
    where {{ where_month_changed() }}
),

lifecycles as (
    select * from {{ ref('customer_lifecycle') }}
    where {{ where_month_changed() }}
),

customer_values as (
    select * from {{ ref('customer_values') }}
    where {{ where_month_changed() }}
),

joined_classes as (
    select
        states.customer_id,
        states.month_on,
        lifecycles.state_on,
        rfm.recency_score,
        rfm.frequency_score,
        rfm.monetary_score,
        rfm.rfm_segment,
        abc.abc_class,
        abc.abc_revenue_class,
        lifecycles.lifecycle,
        customer_values.value_tier,
        customer_values.growth_class,
        states.revenue_12_months_amount,
        -- a book without any cost has no margin, not one of zero
        case when abc.abc_basis = 'margin' then states.margin_12_months_amount end
            as margin_12_months_amount
    from states
    inner join abc
        on states.customer_id = abc.customer_id and states.month_on = abc.month_on
    inner join lifecycles
        on
            states.customer_id = lifecycles.customer_id
            and states.month_on = lifecycles.month_on
    inner join customer_values
        on
            states.customer_id = customer_values.customer_id
            and states.month_on = customer_values.month_on
    left join rfm
        on states.customer_id = rfm.customer_id and states.month_on = rfm.month_on
),

-- a row that is not recomputed goes before those that are: it knows since when and what before
months_in_line as (
    select
        *,
        {%- for class in classes %}
            cast(null as date) as {{ class }}_known_since_on,
            cast(null as {{ dbt.type_string() }}) as {{ class }}_known_previous,
        {%- endfor %}
        true as is_computed
    from joined_classes
    {%- if carry_in %}
        union all
        select
            customer_id,
            month_on,
            state_on,
            recency_score,
            frequency_score,
            monetary_score,
            rfm_segment,
            abc_class,
            abc_revenue_class,
            lifecycle,
            value_tier,
            growth_class,
            revenue_12_months_amount,
            margin_12_months_amount,
            {%- for class in classes %}
                {{ class }}_since_on as {{ class }}_known_since_on,
                previous_{{ class }} as {{ class }}_known_previous,
            {%- endfor %}
            false as is_computed
        from {{ this }}
        where month_on in (
            select {{ add_months('first_month_on', -1) }} from {{ ref('int_months_changed') }}
        )
    {%- endif %}
),

months_before as (
    select
        *,
        {%- for class in classes %}
            lag({{ class }}) over by_month as {{ class }}_before,
        {%- endfor %}
        row_number() over by_month = 1 as is_first_month
    from months_in_line
    window by_month as (partition by customer_id order by month_on)
),

-- a month in which a class begins is marked with its first day, the same on every day of it, and,
-- '' for none, the class before
marked_months as (
    select
        {%- for class in classes %}
            case
                when not is_computed then {{ class }}_known_since_on
                when is_first_month or coalesce({{ class }}, '') <> coalesce({{ class }}_before, '')
                    then month_on
            end as {{ class }}_begins_on,
            case
                when not is_computed then coalesce({{ class }}_known_previous, '')
                when is_first_month or coalesce({{ class }}, '') <> coalesce({{ class }}_before, '')
                    then coalesce({{ class }}_before, '')
            end as {{ class }}_comes_from,
        {%- endfor %}
        *
    from months_before
),

spells as (
    select
        {%- for class in classes %}
            {{ last_known(class ~ '_begins_on') }} over to_date as {{ class }}_last_begun_on,
            {{ last_known(class ~ '_comes_from') }} over to_date as {{ class }}_last_from,
        {%- endfor %}
        *
    from marked_months
    window
        to_date as (
            partition by customer_id order by month_on
            rows between unbounded preceding and current row
        )
),

final as (
    select
        customer_id,
        month_on,
        state_on,
        {{ reporting_currency() }} as currency,
        recency_score,
        frequency_score,
        monetary_score,
        rfm_segment,
        abc_class,
        abc_revenue_class,
        lifecycle,
        value_tier,
        growth_class,
        {%- for class in classes %}
            nullif({{ class }}_last_from, '') as previous_{{ class }},
            case when {{ class }} is not null then {{ class }}_last_begun_on end
                as {{ class }}_since_on,
        {%- endfor %}
        revenue_12_months_amount,
        margin_12_months_amount
    from spells
    where is_computed
)

select * from final
where {{ only_changed('months') }}
