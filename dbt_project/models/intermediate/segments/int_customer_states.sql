{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months_of_customers(customer_states_rebuilt_when()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_customer_states_before') }}

{%- set is_partial = (
    is_incremental() and not run_asks_for_rebuild(customer_states_rebuilt_when())
) %}
{%- set this_month = month_start(as_of_date()) %}
{#- What adds up from month to month: totals of the months, and counts of the orders. -#}
{%- set totals = {
    'count_contract_orders_to_date': 'order_months.count_contract_orders',
    'count_spot_orders_to_date': 'order_months.count_spot_orders',
    'count_costed_months_to_date': 'case when customer_months.margin_amount is not null then 1 end',
    'revenue_to_date_amount': 'customer_months.revenue_amount',
    'margin_to_date_amount': 'customer_months.margin_amount',
    'net_revenue_to_date_amount': 'customer_months.net_revenue_amount',
    'known_net_margin_to_date_amount': 'customer_months.net_margin_amount',
    'acquisition_cost_to_date_amount': 'customer_months.acquisition_cost_amount',
    'cost_to_serve_to_date_amount': 'customer_months.cost_to_serve_amount',
} %}
{#- The totals of which there is also what twelve months brought. -#}
{%- set window_totals = [
    'count_orders_to_date',
    'count_contract_orders_to_date',
    'count_spot_orders_to_date',
    'count_costed_months_to_date',
    'net_revenue_to_date_amount',
    'known_net_margin_to_date_amount',
] %}
{#- What the last month with orders left behind. -#}
{%- set rhythm_columns = [
    'count_orders_to_date',
    'first_ordered_on',
    'last_ordered_on',
    'previous_ordered_on',
    'count_gaps',
    'gap_days',
    'gap_median_days',
    'gap_p95_days',
    'returned_on',
    'return_gap_days',
    'return_count_gaps',
    'return_gap_p95_days',
] %}
{#- The month with orders before: of the first month to compute the last one that stands. #}
{%- set before = {} %}
{%- for name, value in {
    'month': 'order_month',
    'ordered_on': 'last_ordered_on',
    'gaps': 'count_gaps',
    'p95_days': item_of('gap_quantiles', 2),
}.items() %}
    {%- do before.update({
        name: 'lag(' ~ value ~ (', 1, carried_' ~ name if is_partial else '') ~ ') over by_month'
    }) %}
{%- endfor %}

with customers as (
    select customers.*
    from {{ ref('dim_customers') }} as customers
    {{ join_changed_months('customers', this_month, is_partial) }}
),

customer_months as (
    select months.*
    from {{ ref('fct_customer_months') }} as months
    {{ join_changed_months('months', 'months.month_on', is_partial) }}
),

{% if is_partial -%}
    months_to_compute as (
        select * from {{ ref('int_customers_changed') }}
    ),

    -- the months that stand: the first to compute goes on from the last of them, and those of the
    -- two years before tell what twelve months brought
    standing_states as (
        select states.*
        from {{ this }} as states
        inner join months_to_compute
            on
                states.customer_id = months_to_compute.customer_id
                and states.month_on >= {{ add_months('months_to_compute.first_month_on', -24) }}
    ),

    carried_states as (
        select
            standing_states.*,
            months_to_compute.first_month_on
        from standing_states
        inner join months_to_compute
            on
                standing_states.customer_id = months_to_compute.customer_id
                and standing_states.month_on
                = {{ add_months('months_to_compute.first_month_on', -1) }}
    ),

    -- a rhythm is that of all gaps to date, but only new orders change it
    ordering_customers as (
        select distinct facts.customer_id
        from {{ ref('fct_orders') }} as facts
        {{ join_changed_months('facts', 'facts.order_month', is_partial) }}
        where not facts.is_cancelled
    ),
{%- endif %}

orders as (
    select * from {{ ref('fct_orders') }}
    where
        not is_cancelled
        and {{
            'customer_id in (select customer_id from ordering_customers)' if is_partial else 'true'
        }}
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

day_gaps as (
    select
        *,
        lag(ordered_on) over by_day as previous_ordered_on,
        first_value(ordered_on) over by_day as first_ordered_on,
        row_number() over by_day - 2 as count_gaps_before
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
                    'day_gaps.first_ordered_on', 'day_gaps.previous_ordered_on'
                ) }}
                then null
            else {{ days_between('day_gaps.previous_ordered_on', 'day_gaps.ordered_on') }}
        end as rhythm_gap_days
    from day_gaps
    left join absence_rules on day_gaps.ordered_on = absence_rules.ordered_on
),

gap_lists as (
    select
        customer_id,
        {{ list_in_order('rhythm_gap_days', 'ordered_on') }} as rhythm_gaps
    from rhythm_gaps
    where rhythm_gap_days is not null
    group by customer_id
),

order_months as (
    select
        days.customer_id,
        days.order_month,
        min(days.first_ordered_on) as first_ordered_on,
        min(days.ordered_on) as month_first_ordered_on,
        max(days.ordered_on) as last_ordered_on,
        -- the day before the last one: the latest predecessor of any day
        max(days.previous_ordered_on) as previous_ordered_on,
        count(days.rhythm_gap_days) as count_month_gaps,
        sum(days.count_orders) as count_orders,
        sum(days.count_contract_orders) as count_contract_orders,
        sum(days.count_spot_orders) as count_spot_orders
    from rhythm_gaps as days
    {{ join_changed_months('days', 'days.order_month', is_partial) }}
    group by days.customer_id, days.order_month
),

{% if is_partial -%}
    -- the first month to compute goes on from the last one with orders that stands
    order_months_and_carried as (
        select
            order_months.*,
            carried_states.last_order_month as carried_month,
            carried_states.last_ordered_on as carried_ordered_on,
            carried_states.count_orders_to_date as carried_orders,
            carried_states.count_gaps as carried_gaps,
            carried_states.gap_p95_days as carried_p95_days
        from order_months
        left join carried_states
            on
                order_months.customer_id = carried_states.customer_id
                and carried_states.last_order_month is not null
    ),
{%- endif %}

counted_months as (
    select
        *,
        {{ 'coalesce(carried_orders, 0) +' if is_partial }} sum(count_orders) over to_date
            as count_orders_to_date,
        {{ 'coalesce(carried_gaps, 0) +' if is_partial }} sum(count_month_gaps) over to_date
            as count_gaps
    from {{ 'order_months_and_carried' if is_partial else 'order_months' }}
    window
        to_date as (
            partition by customer_id order by order_month
            rows between unbounded preceding and current row
        )
),

-- what the rhythm is like as each month with orders left it
month_end_rhythms as (
    select
        counted_months.*,
        {{ quantiles_of_first('gap_lists.rhythm_gaps', 'counted_months.count_gaps', [0.5, 0.95]) }}
            as gap_quantiles
    from counted_months
    left join gap_lists on counted_months.customer_id = gap_lists.customer_id
),

-- of the gaps that end in a month only the first can be longer than a month: a return. It is
-- measured by the rhythm that was known before it
order_rhythms as (
    select
        *,
        {{ item_of('gap_quantiles', 1) }} as gap_median_days,
        {{ item_of('gap_quantiles', 2) }} as gap_p95_days,
        {{ days_between('previous_ordered_on', 'last_ordered_on') }} as gap_days,
        case when {{ before.month }} is not null then month_first_ordered_on end as returned_on,
        {{ days_between(before.ordered_on, 'month_first_ordered_on') }} as return_gap_days,
        {{ before.gaps }} as return_count_gaps,
        {{ before.p95_days }} as return_gap_p95_days
    from month_end_rhythms
    window by_month as (partition by customer_id order by order_month)
),

rhythms as (
    select
        {%- for column in rhythm_columns %}
            order_rhythms.{{ column }},
        {%- endfor %}
        order_rhythms.customer_id,
        order_rhythms.order_month
    from order_rhythms
    {%- if is_partial %}
        union all
        select
            {{ rhythm_columns | join(', ') }},
            customer_id,
            last_order_month as order_month
        from carried_states
        where last_order_month is not null
    {%- endif %}
),

first_activities as (
    select
        customer_id,
        min(month_on) as first_month_on
    from customer_months
    group by customer_id
),

-- what names a customer without making a month of it: an order that was cancelled, a deal, the
-- customer feed itself
first_names as (
    select
        customer_id,
        min(named_on) as first_named_on
    from (
        select
            facts.customer_id,
            facts.ordered_on as named_on
        from {{ ref('fct_orders') }} as facts
        {{ join_changed_months('facts', 'facts.order_month', is_partial) }}
        where facts.is_cancelled
        union all
        select
            facts.customer_id,
            facts.opened_on as named_on
        from {{ ref('fct_opportunities') }} as facts
        {{ join_changed_months('facts', 'facts.opened_on', is_partial) }}
        union all
        select
            customer_id,
            updated_on as named_on
        from {{ ref('stg_landing__customer_versions') }}
        where not is_deleted
    ) as mentions
    group by customer_id
),

-- a customer of unknown onboarding is known from the first month that any feed names it in, one
-- that nothing dates as long as the book is: told once, whenever it is told
first_months as (
    select
        customers.customer_id,
        customers.industry,
        -- who was a customer before the books began may have bought before: its first order in
        -- them is not its first
        case
            when customers.onboarded_on < book.first_order_month then customers.onboarded_on
        end as onboarded_before_on,
        {%- if is_partial %}
            carried_states.first_month_on as first_computed_month_on,
        {%- endif %}
        least(
            case
                when customers.onboarded_on is not null
                    then
                        greatest(
                            {{ month_start('customers.onboarded_on') }}, book.first_order_month
                        )
                when first_names.first_named_on is not null
                    then
                        greatest(
                            {{ month_start('first_names.first_named_on') }}, book.first_order_month
                        )
                when first_activities.first_month_on is null then book.first_order_month
            end,
            first_activities.first_month_on,
            {{ this_month }}
        ) as first_month_on
    from customers
    cross join book
    left join first_activities on customers.customer_id = first_activities.customer_id
    left join first_names on customers.customer_id = first_names.customer_id
    {%- if is_partial %}
        left join carried_states on customers.customer_id = carried_states.customer_id
    {%- endif %}
),

all_months as (
    select
        customer_id,
        industry,
        onboarded_before_on,
        cast({{ explode_months(
            'coalesce(first_computed_month_on, first_month_on)' if is_partial else 'first_month_on',
            this_month,
        ) }} as date) as month_on
    from first_months
    {%- if is_partial %}
        where coalesce(first_computed_month_on, first_month_on) <= {{ this_month }}
    {%- endif %}
),

cumulated_months as (
    select
        all_months.customer_id,
        all_months.month_on,
        all_months.industry,
        all_months.onboarded_before_on,
        customer_months.count_orders,
        {%- for total, amount in totals.items() %}
            sum({{ amount }}) over to_date as {{ total }},
        {%- endfor %}
        {{ last_known('order_months.order_month') }} over to_date as last_order_month
    from all_months
    left join customer_months
        on
            all_months.customer_id = customer_months.customer_id
            and all_months.month_on = customer_months.month_on
    left join order_months
        on
            all_months.customer_id = order_months.customer_id
            and all_months.month_on = order_months.order_month
    window
        to_date as (
            partition by all_months.customer_id order by all_months.month_on
            rows between unbounded preceding and current row
        )
),

-- what the months before those to compute brought is added to what these bring
continued_months as (
    {%- if is_partial %}
        select
            cumulated_months.customer_id,
            cumulated_months.month_on,
            cumulated_months.industry,
            cumulated_months.onboarded_before_on,
            cumulated_months.count_orders,
            {%- for total in totals %}
                case
                    when
                        cumulated_months.{{ total }} is not null
                        or carried_states.{{ total }} is not null
                        then
                            coalesce(cumulated_months.{{ total }}, 0)
                            + coalesce(carried_states.{{ total }}, 0)
                end as {{ total }},
            {%- endfor %}
            coalesce(cumulated_months.last_order_month, carried_states.last_order_month)
                as last_order_month
        from cumulated_months
        left join carried_states on cumulated_months.customer_id = carried_states.customer_id
    {%- else %}
        select * from cumulated_months
    {%- endif %}
),

described_months as (
    select
        {%- for column in rhythm_columns %}
            rhythms.{{ column }},
        {%- endfor %}
        continued_months.*
    from continued_months
    left join rhythms
        on
            continued_months.customer_id = rhythms.customer_id
            and continued_months.last_order_month = rhythms.order_month
),

-- what twelve months brought is the difference of two totals
earlier_totals as (
    {%- if is_partial %}
        select
            customer_id,
            month_on,
            {{ window_totals | join(', ') }}
        from standing_states
        union all
    {%- endif %}
    select
        customer_id,
        month_on,
        {{ window_totals | join(', ') }}
    from described_months
),

windowed_months as (
    select
        described_months.*,
        {%- for total in window_totals %}
            coalesce(described_months.{{ total }}, 0) - coalesce(year_before.{{ total }}, 0)
                as {{ total | replace('_to_date', '_12_months') }},
        {%- endfor %}
        coalesce(year_before.net_revenue_to_date_amount, 0)
        - coalesce(two_years_before.net_revenue_to_date_amount, 0)
            as revenue_previous_12_months_amount
    from described_months
    left join earlier_totals as year_before
        on
            described_months.customer_id = year_before.customer_id
            and {{ add_months('described_months.month_on', -12) }} = year_before.month_on
    left join earlier_totals as two_years_before
        on
            described_months.customer_id = two_years_before.customer_id
            and {{ add_months('described_months.month_on', -24) }} = two_years_before.month_on
),

final as (
    select
        customer_id,
        month_on,
        industry,
        cast(coalesce(count_orders, 0) as integer) as count_orders,
        cast(coalesce(count_orders_to_date, 0) as integer) as count_orders_to_date,
        cast(count_contract_orders_12_months as integer) as count_contract_orders_12_months,
        cast(count_spot_orders_12_months as integer) as count_spot_orders_12_months,
        cast(coalesce(count_contract_orders_to_date, 0) as integer)
            as count_contract_orders_to_date,
        cast(coalesce(count_spot_orders_to_date, 0) as integer) as count_spot_orders_to_date,
        cast(coalesce(count_costed_months_to_date, 0) as integer) as count_costed_months_to_date,
        cast(coalesce(revenue_to_date_amount, 0) as decimal(18, 2)) as revenue_to_date_amount,
        cast(margin_to_date_amount as decimal(18, 2)) as margin_to_date_amount,
        cast(coalesce(net_revenue_to_date_amount, 0) as decimal(18, 2))
            as net_revenue_to_date_amount,
        -- orders of which none has a known cost have no margin, and returns alone are not one
        cast(
            case
                when coalesce(count_orders_to_date, 0) = 0 or count_costed_months_to_date > 0
                    then coalesce(known_net_margin_to_date_amount, 0)
            end as decimal(18, 2)
        ) as net_margin_to_date_amount,
        cast(coalesce(known_net_margin_to_date_amount, 0) as decimal(18, 2))
            as known_net_margin_to_date_amount,
        cast(acquisition_cost_to_date_amount as decimal(18, 2)) as acquisition_cost_to_date_amount,
        cast(cost_to_serve_to_date_amount as decimal(18, 2)) as cost_to_serve_to_date_amount,
        cast(net_revenue_12_months_amount as decimal(18, 2)) as revenue_12_months_amount,
        cast(revenue_previous_12_months_amount as decimal(18, 2))
            as revenue_previous_12_months_amount,
        cast(
            case
                when count_orders_12_months = 0 or count_costed_months_12_months > 0
                    then known_net_margin_12_months_amount
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
        cast(coalesce(count_gaps, 0) as integer) as count_gaps,
        cast(gap_days as integer) as gap_days,
        cast(gap_median_days as double) as gap_median_days,
        cast(gap_p95_days as double) as gap_p95_days,
        returned_on,
        cast(return_gap_days as integer) as return_gap_days,
        cast(return_count_gaps as integer) as return_count_gaps,
        cast(return_gap_p95_days as double) as return_gap_p95_days
    from windowed_months
)

select * from final
where {{ only_changed('states', customer_states_rebuilt_when()) }}
