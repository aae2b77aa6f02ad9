{%- set trends = {
    'rising_delay':
        'months.delay_trend_days >= alert_rules.threshold '
        'and months.delay_days_3_months >= alert_rules.second_threshold',
    'order_surge':
        'months.order_trend_rate >= alert_rules.threshold '
        'and months.delay_trend_days >= alert_rules.second_threshold',
} -%}
-- Trends of paying and ordering that call for a warning, and since which month end without a break.
with months as (
    select * from {{ ref('int_credit_months') }}
),

alert_rules as (
    select * from {{ ref('credit_alert_rules') }}
    where kind in ('rising_delay', 'order_surge') and {{ is_in_force() }}
),

judged_months as (
    select
        months.customer_id,
        months.month_on,
        months.state_on,
        alert_rules.kind,
        months.delay_days_3_months,
        months.delay_trend_days,
        months.order_trend_rate,
        coalesce(
            case
                {%- for kind, condition in trends.items() %}
                    when alert_rules.kind = '{{ kind }}' then {{ condition }}
                {%- endfor %}
            end,
            false
        ) as is_met
    from months
    cross join alert_rules
),

unbroken_months as (
    select
        *,
        max(case when not is_met then month_on end) over (
            partition by customer_id, kind
        ) as last_other_month_on
    from judged_months
),

final as (
    select
        customer_id,
        kind,
        min(state_on) as since_on,
        max(delay_days_3_months) filter (where state_on = {{ as_of_date() }})
            as delay_days_3_months,
        max(delay_trend_days) filter (where state_on = {{ as_of_date() }}) as delay_trend_days,
        max(order_trend_rate) filter (where state_on = {{ as_of_date() }}) as order_trend_rate
    from unbroken_months
    where is_met and (last_other_month_on is null or month_on > last_other_month_on)
    group by customer_id, kind
    having max(state_on) = {{ as_of_date() }}
)

select * from final
