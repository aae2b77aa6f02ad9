{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months() }}",
) }}
-- depends_on: {{ ref('int_months_changed') }}

with states as (
    select * from {{ ref('int_customer_states') }}
    where {{ where_month_changed() }}
),

abc_cut_points as (
    select * from {{ ref('abc_cut_points') }}
),

segment_parameters as (
    select * from {{ ref('segment_parameters') }}
),

state_months as (
    select distinct
        month_on,
        {{ state_on('month_on') }} as state_on
    from states
),

window_months as (
    select
        state_months.month_on,
        {{ parameters_by_column(['abc_window_months']) }}
    from state_months
    inner join segment_parameters
        on {{ is_in_force_on('segment_parameters', 'state_months.state_on') }}
    group by state_months.month_on
),

windows as (
    select
        month_on,
        abc_window_months,
        {{ add_months('month_on', '-abc_window_months') }} as before_on
    from window_months
),

-- what was known before the window began: the difference is what the window brought
earlier_states as (
    select
        customer_id,
        month_on,
        count_orders_to_date,
        count_costed_months_to_date,
        net_revenue_to_date_amount,
        known_net_margin_to_date_amount
    from {{ ref('int_customer_states') }}
    where month_on in (select before_on from windows)
),

-- one basis for the whole book: margin and revenue do not compare
month_bases as (
    select
        month_on,
        case when max(count_costed_months_to_date) > 0 then 'margin' else 'revenue' end
            as abc_basis
    from states
    group by month_on
),

window_amounts as (
    select
        states.customer_id,
        states.month_on,
        windows.abc_window_months,
        month_bases.abc_basis,
        states.net_revenue_to_date_amount
        - coalesce(earlier_states.net_revenue_to_date_amount, 0) as revenue_in_window,
        -- orders in the window of which none has a known cost have no margin, not one of zero
        case
            when
                states.count_orders_to_date = coalesce(earlier_states.count_orders_to_date, 0)
                or states.count_costed_months_to_date
                > coalesce(earlier_states.count_costed_months_to_date, 0)
                then
                    states.known_net_margin_to_date_amount
                    - coalesce(earlier_states.known_net_margin_to_date_amount, 0)
        end as margin_in_window
    from states
    inner join windows on states.month_on = windows.month_on
    inner join month_bases on states.month_on = month_bases.month_on
    left join earlier_states
        on
            states.customer_id = earlier_states.customer_id
            and windows.before_on = earlier_states.month_on
),

-- what brings nothing or a loss takes no part in the cumulation and is C
abc_amounts as (
    select
        *,
        case when abc_basis = 'margin' then margin_in_window else revenue_in_window end
            as window_amount,
        cast(
            greatest(
                coalesce(
                    case
                        when abc_basis = 'margin' then margin_in_window
                        else revenue_in_window
                    end,
                    0
                ),
                0
            ) as decimal(18, 2)
        ) as value_amount,
        cast(greatest(revenue_in_window, 0) as decimal(18, 2)) as revenue_amount
    from window_amounts
),

cumulated_amounts as (
    select
        *,
        {{ amount_ahead('value_amount') }} as value_ahead,
        sum(value_amount) over (partition by month_on order by value_amount desc) as value_through,
        sum(value_amount) over (partition by month_on) as value_total,
        {{ amount_ahead('revenue_amount') }} as revenue_ahead,
        sum(revenue_amount) over (partition by month_on) as revenue_total
    from abc_amounts
),

abc_cuts as (
    select
        state_months.month_on,
        state_months.state_on,
        cast(
            max(abc_cut_points.share_before_from)
            filter (where abc_cut_points.abc_class = 'B') as decimal(5, 4)
        ) as b_from,
        cast(
            max(abc_cut_points.share_before_from)
            filter (where abc_cut_points.abc_class = 'C') as decimal(5, 4)
        ) as c_from
    from state_months
    inner join abc_cut_points
        on {{ is_in_force_on('abc_cut_points', 'state_months.state_on') }}
    group by state_months.month_on, state_months.state_on
),

final as (
    select
        cumulated_amounts.customer_id,
        cumulated_amounts.month_on,
        abc_cuts.state_on,
        {{ reporting_currency() }} as currency,
        cumulated_amounts.abc_basis,
        cast(cumulated_amounts.abc_window_months as integer) as abc_window_months,
        cast(cumulated_amounts.window_amount as decimal(18, 2)) as abc_amount,
        {{ class_by_share_ahead('value', 'A', {'B': 'b_from', 'C': 'c_from'}, 'C') }} as abc_class,
        {{ class_by_share_ahead('revenue', 'A', {'B': 'b_from', 'C': 'c_from'}, 'C') }}
            as abc_revenue_class,
        {{ mean_of('cumulated_amounts.value_ahead', 'cumulated_amounts.value_total') }}
            as share_ahead,
        {{ mean_of('cumulated_amounts.value_through', 'cumulated_amounts.value_total') }}
            as cumulative_margin_share
    from cumulated_amounts
    inner join abc_cuts on cumulated_amounts.month_on = abc_cuts.month_on
)

select * from final
where {{ only_changed('months') }}
