-- What became of deals, month by month, as known at each month's end: a deal closed later was open.
-- Conversion here is from opened to won, of every deal; stage_conversion tells it stage by stage.
with pipeline_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters',
        [
            'window_months', 'min_closed', 'prior_deals', 'interval_quantile',
        ],
        area='pipeline',
    ) }}
),

opportunities as (
    select * from {{ ref('fct_opportunities') }}
),

member_deals as (
    select
        *,
        'account_manager' as dimension,
        coalesce(account_manager, '-') as member
    from opportunities
    union all
    select
        *,
        'book' as dimension,
        'all' as member
    from opportunities
),

member_months as (
    select
        dimension,
        member,
        cast(
            {{ explode_months(
                month_start('min(opened_on)'), month_start(as_of_date())
            ) }} as date
        ) as month_on
    from member_deals
    group by dimension, member
),

state_months as (
    select
        member_months.*,
        {{ state_on('member_months.month_on') }} as state_on,
        {{ add_months(
            'member_months.month_on', 'cast(1 - pipeline_rules.window_months as integer)'
        ) }} as window_from_on
    from member_months
    cross join pipeline_rules
),

-- a deal as it stood at a month's end, in the months that look at it
deal_states as (
    select
        state_months.dimension,
        state_months.member,
        state_months.month_on,
        state_months.state_on,
        state_months.window_from_on,
        member_deals.opened_on,
        member_deals.opportunity_amount,
        member_deals.closed_on is not null
        and member_deals.closed_on <= state_months.state_on as is_closed,
        coalesce(member_deals.is_won, false)
        and member_deals.closed_on <= state_months.state_on as is_won,
        case when member_deals.closed_on <= state_months.state_on then member_deals.closed_on end
            as closed_on,
        case
            when member_deals.closed_on <= state_months.state_on then member_deals.lost_reason
        end as lost_reason,
        {{ days_between(
            'member_deals.opened_on',
            'least(coalesce(member_deals.closed_on, state_months.state_on), state_months.state_on)',
        ) }} as age_days
    from state_months
    inner join member_deals
        on
            state_months.dimension = member_deals.dimension
            and state_months.member = member_deals.member
            and state_months.state_on >= member_deals.opened_on
            and (
                member_deals.closed_on is null
                or state_months.window_from_on <= member_deals.closed_on
            )
),

month_sums as (
    select
        dimension,
        member,
        month_on,
        count(*) filter (where opened_on >= month_on) as count_opened,
        count(*) filter (where is_won and closed_on >= month_on) as count_won,
        count(*) filter (where is_closed and not is_won and closed_on >= month_on) as count_lost,
        {{ sum_amount('case when is_won and closed_on >= month_on then opportunity_amount end') }}
            as won_amount,
        {{ sum_amount(
            'case when is_closed and not is_won and closed_on >= month_on '
            ~ 'then opportunity_amount end'
        ) }} as lost_amount,
        count(*) filter (where not is_closed) as count_open,
        {{ sum_amount('case when not is_closed then opportunity_amount end') }} as open_amount,
        -- whatever is closed here was closed within the window
        count(*) filter (where is_won) as count_won_window,
        count(*) filter (where is_closed) as count_closed_window,
        {{ sum_amount('case when is_won then opportunity_amount end') }} as won_window_amount,
        {{ sum_amount('case when is_closed then opportunity_amount end') }}
            as closed_window_amount,
        count(*) filter (where is_closed and not is_won and lost_reason is not null)
            as count_lost_reasons,
        count(*) filter (where lost_reason in ('competitor', 'price')) as count_lost_to_market
    from deal_states
    group by dimension, member, month_on
),

-- how long deals take (Kaplan and Meier): those opened within the window, the open ones counted as
-- long as they were watched
cycle_ages as (
    select
        dimension,
        member,
        month_on,
        age_days,
        count(*) as count_deals,
        count(*) filter (where is_closed) as count_closed
    from deal_states
    where opened_on >= window_from_on
    group by dimension, member, month_on, age_days
),

cycles_at_risk as (
    select
        cycle_ages.*,
        sum(count_deals) over (
            partition by dimension, member, month_on
            order by age_days desc
            rows between unbounded preceding and current row
        ) as count_at_risk,
        sum(count_closed) over (partition by dimension, member, month_on) as count_closed_all
    from cycle_ages
),

cycles as (
    select
        cycles_at_risk.*,
        count_closed = count_at_risk as is_last,
        sum(
            {{ log_share_left_open() }}
        ) over (
            partition by dimension, member, month_on
            order by age_days
            rows between unbounded preceding and current row
        ) as log_open_share
    from cycles_at_risk
),

-- rounding must not put off the day by which exactly half are closed
median_cycles as (
    select
        dimension,
        member,
        month_on,
        max(count_closed_all) as count_cycles_closed,
        min(age_days) filter (
            where is_last or exp(cast(log_open_share as double)) <= 0.5 + 1e-9
        ) as median_cycle_days
    from cycles
    group by dimension, member, month_on
),

book_rates as (
    select
        month_on,
        {{ mean_of('count_won_window', 'count_closed_window') }} as book_win_rate
    from month_sums
    where dimension = 'book'
),

rated_months as (
    select
        state_months.dimension,
        state_months.member,
        state_months.month_on,
        state_months.state_on,
        coalesce(month_sums.count_opened, 0) as count_opened,
        coalesce(month_sums.count_won, 0) as count_won,
        coalesce(month_sums.count_lost, 0) as count_lost,
        coalesce(month_sums.won_amount, 0) as won_amount,
        coalesce(month_sums.lost_amount, 0) as lost_amount,
        coalesce(month_sums.count_open, 0) as count_open,
        coalesce(month_sums.open_amount, 0) as open_amount,
        coalesce(month_sums.count_won_window, 0) as count_won_window,
        coalesce(month_sums.count_closed_window, 0) as count_closed_window,
        coalesce(month_sums.won_window_amount, 0) as won_window_amount,
        coalesce(month_sums.closed_window_amount, 0) as closed_window_amount,
        coalesce(month_sums.count_lost_reasons, 0) as count_lost_reasons,
        coalesce(month_sums.count_lost_to_market, 0) as count_lost_to_market,
        coalesce(median_cycles.count_cycles_closed, 0) as count_cycles_closed,
        median_cycles.median_cycle_days,
        book_rates.book_win_rate,
        pipeline_rules.prior_deals,
        pipeline_rules.interval_quantile,
        pipeline_rules.min_closed,
        {{ mean_of('month_sums.count_won_window', 'month_sums.count_closed_window') }} as win_rate
    from state_months
    cross join pipeline_rules
    left join month_sums
        on
            state_months.dimension = month_sums.dimension
            and state_months.member = month_sums.member
            and state_months.month_on = month_sums.month_on
    left join median_cycles
        on
            state_months.dimension = median_cycles.dimension
            and state_months.member = median_cycles.member
            and state_months.month_on = median_cycles.month_on
    left join book_rates on state_months.month_on = book_rates.month_on
),

-- Wilson's interval of a share: within 0 and 1, and of use where few were closed
interval_parts as (
    select
        rated_months.*,
        cast(interval_quantile as double) * cast(interval_quantile as double) as squared_quantile
    from rated_months
),

final as (
    select
        dimension,
        member,
        month_on,
        state_on,
        {{ reporting_currency() }} as currency,
        cast(count_opened as integer) as count_opened,
        cast(count_won as integer) as count_won,
        cast(count_lost as integer) as count_lost,
        cast(won_amount as decimal(18, 2)) as won_amount,
        cast(lost_amount as decimal(18, 2)) as lost_amount,
        cast(count_open as integer) as count_open,
        cast(open_amount as decimal(18, 2)) as open_amount,
        cast(count_won_window as integer) as count_won_12_months,
        cast(count_closed_window as integer) as count_closed_12_months,
        win_rate,
        {%- for name, sign in [('low', '-'), ('high', '+')] %}
            case
                when count_closed_window > 0
                    then
                        (
                            win_rate + squared_quantile / (2 * count_closed_window)
                            {{ sign }} cast(interval_quantile as double) * sqrt(
                                win_rate * (1 - win_rate) / count_closed_window
                                + squared_quantile / (4 * count_closed_window * count_closed_window)
                            )
                        )
                        / (1 + squared_quantile / count_closed_window)
            end as win_rate_{{ name }},
        {%- endfor %}
        cast(count_won_window + prior_deals * book_win_rate as double)
        / cast(count_closed_window + prior_deals as double) as shrunk_win_rate,
        {{ mean_of('won_window_amount', 'closed_window_amount') }} as won_value_share,
        case
            when count_closed_window = 0 then 'none_yet'
            when count_closed_window < min_closed then 'too_few'
            else 'known'
        end as win_rate_status,
        cast(count_lost_reasons as integer) as count_lost_reasons_12_months,
        {{ mean_of('count_lost_to_market', 'count_lost_reasons') }} as lost_to_market_share,
        cast(count_cycles_closed as integer) as count_cycles_closed,
        cast(median_cycle_days as integer) as median_cycle_days,
        case
            when median_cycle_days is not null then 'known'
            when count_cycles_closed = 0 then 'none_yet'
            else 'half_still_open'
        end as cycle_status
    from interval_parts
)

select * from final
