{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed(
        'customer_id', changed_customers(), customer_states_rebuilt_when()
    ) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_customer_states_before') }}

{%- set is_in_scope = where_changed(
    'customer_id', changed_customers(), customer_states_rebuilt_when()
) %}
{%- set this_month = month_start(as_of_date()) %}

with customers as (
    select * from {{ ref('dim_customers') }}
    where {{ is_in_scope }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
    where {{ is_in_scope }}
),

orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled and {{ is_in_scope }}
),

segment_parameters as (
    select * from {{ ref('segment_parameters') }}
),

-- before its first order the book knows nothing of anybody
book as (
    select {{ month_start('min(ordered_on)') }} as first_order_month
    from {{ ref('fct_orders') }}
    where not is_cancelled
),

order_days as (
    select
        customer_id,
        order_month,
        ordered_on,
        count(*) as count_orders,
        count(*) filter (where sale_type = 'contract') as count_contract_orders,
        count(*) filter (where sale_type = 'spot') as count_spot_orders
    from orders
    group by customer_id, order_month, ordered_on
),

order_months as (
    select
        customer_id,
        order_month as month_on,
        sum(count_contract_orders) as count_contract_orders,
        sum(count_spot_orders) as count_spot_orders
    from order_days
    group by customer_id, order_month
),

day_gaps as (
    select
        *,
        lag(ordered_on) over by_day as previous_ordered_on,
        min(ordered_on) over (partition by customer_id) as very_first_ordered_on,
        min(ordered_on) over (partition by customer_id, order_month) as month_first_ordered_on,
        row_number() over by_day - 2 as count_gaps_before,
        lead(order_month) over by_day as next_order_month
    from order_days
    window by_day as (partition by customer_id order by ordered_on)
),

absence_rules as (
    select
        order_dates.ordered_on,
        {{ parameters_by_column(['absence_days_over', 'absence_mean_gaps_over']) }}
    from (select distinct ordered_on from order_days) as order_dates
    inner join segment_parameters
        on {{ is_in_force_on('segment_parameters', 'order_dates.ordered_on') }}
    group by order_dates.ordered_on
),

-- who was away for long, and many times longer than the mean gap before, had left: such a gap is
-- no part of the rhythm, or whoever left once could never again be missed
rhythm_gaps as (
    select
        day_gaps.*,
        case
            when
                {{ days_between('day_gaps.previous_ordered_on', 'day_gaps.ordered_on') }}
                > absence_rules.absence_days_over
                and {{ days_between('day_gaps.previous_ordered_on', 'day_gaps.ordered_on') }}
                * day_gaps.count_gaps_before
                > absence_rules.absence_mean_gaps_over * {{ days_between(
                    'day_gaps.very_first_ordered_on', 'day_gaps.previous_ordered_on'
                ) }}
                then null
            else {{ days_between('day_gaps.previous_ordered_on', 'day_gaps.ordered_on') }}
        end as rhythm_gap_days
    from day_gaps
    left join absence_rules on day_gaps.ordered_on = absence_rules.ordered_on
),

-- after each order day: what the rhythm up to it is like
gap_statistics as (
    select
        customer_id,
        order_month,
        ordered_on,
        previous_ordered_on,
        month_first_ordered_on,
        coalesce(next_order_month <> order_month, true) as is_last_of_month,
        {{ days_between('previous_ordered_on', 'ordered_on') }} as gap_days,
        min(ordered_on) over to_date as first_ordered_on,
        sum(count_orders) over to_date as count_orders_to_date,
        count(rhythm_gap_days) over to_date as count_gaps,
        {{ quantiles_of('rhythm_gap_days', [0.5, 0.95]) }} over to_date as gap_quantiles
    from rhythm_gaps
    window
        to_date as (
            partition by customer_id order by ordered_on
            rows between unbounded preceding and current row
        )
),

-- as each month with orders left them
month_end_rhythms as (
    select
        *,
        {{ item_of('gap_quantiles', 1) }} as gap_median_days,
        {{ item_of('gap_quantiles', 2) }} as gap_p95_days
    from gap_statistics
    where is_last_of_month
),

-- of the gaps that end in a month only the first can be longer than a month: a return. It is
-- measured by the rhythm that was known before it
order_rhythms as (
    select
        *,
        {{ days_between('lag(ordered_on) over by_month', 'month_first_ordered_on') }}
            as return_gap_days,
        lag(count_gaps) over by_month as return_count_gaps,
        lag(gap_p95_days) over by_month as return_gap_p95_days
    from month_end_rhythms
    window by_month as (partition by customer_id order by order_month)
),

first_activities as (
    select
        customer_id,
        min(month_on) as first_month_on
    from customer_months
    group by customer_id
),

-- a customer of unknown beginning and without any row is known from now on
first_months as (
    select
        customers.customer_id,
        customers.industry,
        -- who was a customer before the books began may have bought before: its first order in
        -- them is not its first
        case
            when customers.onboarded_on < book.first_order_month then customers.onboarded_on
        end as onboarded_before_on,
        least(
            case
                when customers.onboarded_on is not null
                    then
                        greatest(
                            {{ month_start('customers.onboarded_on') }}, book.first_order_month
                        )
                else {{ this_month }}
            end,
            coalesce(first_activities.first_month_on, {{ this_month }}),
            {{ this_month }}
        ) as first_month_on
    from customers
    cross join book
    left join first_activities on customers.customer_id = first_activities.customer_id
),

all_months as (
    select
        customer_id,
        industry,
        onboarded_before_on,
        cast({{ explode_months('first_month_on', this_month) }} as date) as month_on
    from first_months
),

cumulated_months as (
    select
        all_months.customer_id,
        all_months.month_on,
        all_months.industry,
        all_months.onboarded_before_on,
        customer_months.count_orders,
        sum(order_months.count_contract_orders) over last_12_months
            as count_contract_orders_12_months,
        sum(order_months.count_spot_orders) over last_12_months as count_spot_orders_12_months,
        sum(order_months.count_contract_orders) over to_date as count_contract_orders_to_date,
        sum(order_months.count_spot_orders) over to_date as count_spot_orders_to_date,
        count(customer_months.margin_amount) over to_date as count_costed_months_to_date,
        sum(customer_months.revenue_amount) over to_date as revenue_to_date_amount,
        sum(customer_months.margin_amount) over to_date as margin_to_date_amount,
        sum(customer_months.net_revenue_amount) over to_date as net_revenue_to_date_amount,
        sum(customer_months.net_margin_amount) over to_date as net_margin_to_date_amount,
        sum(customer_months.acquisition_cost_amount) over to_date
            as acquisition_cost_to_date_amount,
        sum(customer_months.cost_to_serve_amount) over to_date as cost_to_serve_to_date_amount,
        sum(customer_months.net_revenue_amount) over last_12_months as revenue_12_months_amount,
        sum(customer_months.net_revenue_amount) over previous_12_months
            as revenue_previous_12_months_amount,
        sum(customer_months.net_margin_amount) over last_12_months as margin_12_months_amount,
        count(customer_months.margin_amount) over last_12_months as count_costed_months,
        sum(customer_months.count_orders) over last_12_months as count_orders_12_months,
        max(order_rhythms.order_month) over to_date as last_order_month
    from all_months
    left join customer_months
        on
            all_months.customer_id = customer_months.customer_id
            and all_months.month_on = customer_months.month_on
    left join order_months
        on
            all_months.customer_id = order_months.customer_id
            and all_months.month_on = order_months.month_on
    left join order_rhythms
        on
            all_months.customer_id = order_rhythms.customer_id
            and all_months.month_on = order_rhythms.order_month
    window
        to_date as (
            partition by all_months.customer_id order by all_months.month_on
            rows between unbounded preceding and current row
        ),
        last_12_months as (
            partition by all_months.customer_id order by all_months.month_on
            rows between 11 preceding and current row
        ),
        previous_12_months as (
            partition by all_months.customer_id order by all_months.month_on
            rows between 23 preceding and 12 preceding
        )
),

described_months as (
    select
        cumulated_months.*,
        order_rhythms.count_orders_to_date,
        order_rhythms.first_ordered_on,
        order_rhythms.ordered_on as last_ordered_on,
        order_rhythms.previous_ordered_on,
        coalesce(order_rhythms.count_gaps, 0) as count_gaps,
        order_rhythms.gap_days,
        order_rhythms.gap_median_days,
        order_rhythms.gap_p95_days,
        case
            when order_rhythms.return_gap_days is not null
                then order_rhythms.month_first_ordered_on
        end as returned_on,
        order_rhythms.return_gap_days,
        order_rhythms.return_count_gaps,
        order_rhythms.return_gap_p95_days
    from cumulated_months
    left join order_rhythms
        on
            cumulated_months.customer_id = order_rhythms.customer_id
            and cumulated_months.last_order_month = order_rhythms.order_month
),

final as (
    select
        customer_id,
        month_on,
        industry,
        cast(coalesce(count_orders, 0) as integer) as count_orders,
        cast(coalesce(count_orders_to_date, 0) as integer) as count_orders_to_date,
        cast(coalesce(count_contract_orders_12_months, 0) as integer)
            as count_contract_orders_12_months,
        cast(coalesce(count_spot_orders_12_months, 0) as integer) as count_spot_orders_12_months,
        cast(coalesce(count_contract_orders_to_date, 0) as integer)
            as count_contract_orders_to_date,
        cast(coalesce(count_spot_orders_to_date, 0) as integer) as count_spot_orders_to_date,
        cast(count_costed_months_to_date as integer) as count_costed_months_to_date,
        cast(coalesce(revenue_to_date_amount, 0) as decimal(18, 2)) as revenue_to_date_amount,
        cast(margin_to_date_amount as decimal(18, 2)) as margin_to_date_amount,
        cast(coalesce(net_revenue_to_date_amount, 0) as decimal(18, 2))
            as net_revenue_to_date_amount,
        -- orders of which none has a known cost have no margin, and returns alone are not one
        cast(
            case
                when coalesce(count_orders_to_date, 0) = 0 or count_costed_months_to_date > 0
                    then coalesce(net_margin_to_date_amount, 0)
            end as decimal(18, 2)
        ) as net_margin_to_date_amount,
        cast(acquisition_cost_to_date_amount as decimal(18, 2)) as acquisition_cost_to_date_amount,
        cast(cost_to_serve_to_date_amount as decimal(18, 2)) as cost_to_serve_to_date_amount,
        cast(coalesce(revenue_12_months_amount, 0) as decimal(18, 2)) as revenue_12_months_amount,
        cast(coalesce(revenue_previous_12_months_amount, 0) as decimal(18, 2))
            as revenue_previous_12_months_amount,
        cast(
            case
                when coalesce(count_orders_12_months, 0) = 0 or count_costed_months > 0
                    then coalesce(margin_12_months_amount, 0)
            end as decimal(18, 2)
        ) as margin_12_months_amount,
        last_order_month,
        -- least ignores a null, but nobody is a customer before an order
        case
            when first_ordered_on is not null
                then least(coalesce(onboarded_before_on, first_ordered_on), first_ordered_on)
        end as customer_since_on,
        first_ordered_on,
        last_ordered_on,
        previous_ordered_on,
        cast(count_gaps as integer) as count_gaps,
        cast(gap_days as integer) as gap_days,
        cast(gap_median_days as double) as gap_median_days,
        cast(gap_p95_days as double) as gap_p95_days,
        returned_on,
        cast(return_gap_days as integer) as return_gap_days,
        cast(return_count_gaps as integer) as return_count_gaps,
        cast(return_gap_p95_days as double) as return_gap_p95_days
    from described_months
)

select * from final
