{%- set months = 'cast(' ~ management_parameter('effect_months') ~ ' as integer)' -%}
{%- set window = 'cast(' ~ management_parameter('effect_window_months') ~ ' as integer)' -%}
with customers as (
    select
        customer_id,
        customer_since_on
    from {{ rows_of_this_month('customer_lifecycle') }}
),

-- the months that are over, as far back as an episode and the months before it reach
segment_history as (
    select * from {{ ref('customer_segment_history') }}
    where
        month_on < {{ month_start(as_of_date()) }}
        and month_on >= {{ add_months(
            month_start(as_of_date()), '-(' ~ window ~ ' + 2 * ' ~ months ~ ' + 1)'
        ) }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
    where month_on >= {{ add_months(
        month_start(as_of_date()), '-(' ~ window ~ ' + 2 * ' ~ months ~ ' + 1)'
    ) }}
),

-- before the first release nobody was suggested or held out
first_release as (
    select min(as_of) as as_of
    from {{ ref('stg_landing__releases') }}
),

score_history as (
    select * from {{ ref('credit_score_history') }}
),

interactions as (
    select * from {{ ref('fct_interactions') }}
    where kind in ('visit', 'call')
),

action_rules as (
    select * from {{ ref('action_rules') }}
    where is_tracked and {{ is_in_force() }}
),

effect_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'action_effect' and {{ is_in_force() }}
),

states as (
    select
        segment_history.customer_id,
        segment_history.month_on,
        segment_history.lifecycle,
        segment_history.value_tier,
        segment_history.growth_class,
        segment_history.abc_class,
        score_history.grade,
        score_history.is_in_default,
        customer_months.overdue_amount,
        customer_months.net_revenue_amount,
        {{ days_between('customers.customer_since_on', 'segment_history.state_on') }}
            as tenure_days
    from segment_history
    inner join customers on segment_history.customer_id = customers.customer_id
    inner join customer_months
        on
            segment_history.customer_id = customer_months.customer_id
            and segment_history.month_on = customer_months.month_on
    left join score_history
        on
            segment_history.customer_id = score_history.customer_id
            and segment_history.month_on = score_history.month_on
),

due_months as (
    {%- for action in followed_actions() %}
        select
            states.customer_id,
            states.month_on,
            action_rules.action_code,
            action_rules.outcome
        from states
        inner join action_rules on action_rules.action_code = '{{ action }}'
        where
            {{ is_due_to(action) }}
            and {{ is_of_the_measured('states.abc_class', 'states.is_in_default') }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- an episode begins where the action was not due in the months before
first_months as (
    select
        due_months.*,
        lag(due_months.month_on) over (
            partition by due_months.customer_id, due_months.action_code
            order by due_months.month_on
        ) as previous_on
    from due_months
),

episodes as (
    select
        first_months.customer_id,
        first_months.action_code,
        first_months.outcome,
        first_months.month_on,
        {{ is_held_out('first_months.customer_id', 'first_months.action_code') }} as is_held_out
    from first_months
    cross join first_release
    where
        first_months.month_on >= {{ month_start('first_release.as_of') }}
        and coalesce(
            first_months.previous_on
            < {{ add_months('first_months.month_on', '-' ~ months) }},
            true
        )
        and first_months.month_on
        >= {{ add_months(month_start(as_of_date()), '-(' ~ window ~ ' + ' ~ months ~ ')') }}
        -- the months that tell the outcome are over
        and {{ add_months('first_months.month_on', months) }} < {{ month_start(as_of_date()) }}
),

contacts as (
    select distinct
        episodes.customer_id,
        episodes.action_code,
        episodes.month_on
    from episodes
    inner join interactions
        on
            episodes.customer_id = interactions.customer_id
            and interactions.occurred_on >= {{ add_months('episodes.month_on', 1) }}
            and interactions.occurred_on < {{ add_days(
                add_months('episodes.month_on', 1),
                'cast(' ~ management_parameter('contact_days') ~ ' as integer)',
            ) }}
),

-- revenue: the months after less as many up to the month; overdue: its end less this month's end
outcomes as (
    select
        episodes.customer_id,
        episodes.action_code,
        episodes.month_on,
        episodes.is_held_out,
        case
            when episodes.outcome = 'overdue'
                then
                    sum(states.overdue_amount) filter (
                        where
                        states.month_on = {{ add_months('episodes.month_on', months) }}
                    )
                    - sum(states.overdue_amount) filter (
                        where states.month_on = episodes.month_on
                    )
            else
                coalesce(sum(states.net_revenue_amount) filter (
                    where states.month_on > episodes.month_on
                ), 0)
                - coalesce(sum(states.net_revenue_amount) filter (
                    where states.month_on <= episodes.month_on
                ), 0)
        end as change_amount
    from episodes
    inner join states
        on
            episodes.customer_id = states.customer_id
            and states.month_on > {{ add_months('episodes.month_on', '-' ~ months) }}
            and states.month_on <= {{ add_months('episodes.month_on', months) }}
    group by
        episodes.customer_id,
        episodes.action_code,
        episodes.outcome,
        episodes.month_on,
        episodes.is_held_out
),

-- exact sums: those of doubles would hang on the order of the rows
sums as (
    select
        outcomes.action_code,
        {%- for name, condition in {'suggested': 'not', 'held_out': ''}.items() %}
            count(*) filter (where {{ condition }} outcomes.is_held_out) as count_{{ name }},
            count(contacts.customer_id) filter (where {{ condition }} outcomes.is_held_out)
                as count_contacted_{{ name }},
            cast(
                sum(outcomes.change_amount) filter (
                    where {{ condition }} outcomes.is_held_out
                ) as double
            ) as total_{{ name }},
            cast(
                sum(
                    {{ factor('outcomes.change_amount') }}
                    * {{ factor('outcomes.change_amount') }}
                ) filter (
                    where {{ condition }} outcomes.is_held_out
                ) as double
            ) as squares_{{ name }},
        {%- endfor %}
        count(*) as count_episodes
    from outcomes
    left join contacts
        on
            outcomes.customer_id = contacts.customer_id
            and outcomes.action_code = contacts.action_code
            and outcomes.month_on = contacts.month_on
    group by outcomes.action_code
),

totals as (
    select
        action_code,
        {%- for name in ['suggested', 'held_out'] %}
            count_{{ name }},
            count_contacted_{{ name }},
            total_{{ name }} / nullif(count_{{ name }}, 0) as mean_{{ name }},
            (squares_{{ name }} - total_{{ name }} * total_{{ name }} / nullif(count_{{ name }}, 0))
            / nullif(count_{{ name }} - 1, 0) as variance_{{ name }},
        {%- endfor %}
        count_episodes
    from sums
),

compared as (
    select
        action_rules.action_code,
        action_rules.label_en as action_label_en,
        action_rules.label_zh as action_label_zh,
        action_rules.outcome,
        coalesce(totals.count_suggested, 0) as count_suggested,
        coalesce(totals.count_held_out, 0) as count_held_out,
        coalesce(totals.count_contacted_suggested, 0) as count_contacted_suggested,
        coalesce(totals.count_contacted_held_out, 0) as count_contacted_held_out,
        totals.mean_suggested,
        totals.mean_held_out,
        totals.mean_suggested - totals.mean_held_out as uplift,
        -- of alike outcomes, rounding may leave a variance a hair below zero
        {{ management_parameter('effect_quantile') }} * sqrt(
            abs(totals.variance_suggested) / totals.count_suggested
            + abs(totals.variance_held_out) / totals.count_held_out
        ) as half_width,
        least(coalesce(totals.count_suggested, 0), coalesce(totals.count_held_out, 0))
        >= {{ management_parameter('effect_minimum_customers') }} as has_enough
    from action_rules
    left join totals on action_rules.action_code = totals.action_code
),

judged as (
    select
        compared.*,
        case
            when not has_enough then 'too_few'
            when half_width is null then 'too_few'
            when abs(uplift) <= half_width then 'none_found'
            -- less overdue is the better
            when (uplift > 0) = (outcome = 'revenue') then 'better'
            else 'worse'
        end as effect
    from compared
),

final as (
    select
        judged.action_code,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        judged.action_label_en,
        judged.action_label_zh,
        judged.outcome,
        cast(judged.count_suggested as integer) as count_suggested,
        cast(judged.count_held_out as integer) as count_held_out,
        cast(judged.count_contacted_suggested as integer) as count_contacted_suggested,
        cast(judged.count_contacted_held_out as integer) as count_contacted_held_out,
        {%- for name in ['mean_suggested', 'mean_held_out'] %}
            {{ to_amount('judged.' ~ name) }} as {{ name }}_amount,
        {%- endfor %}
        {%- for name, value in {
            'uplift': 'judged.uplift',
            'uplift_low': 'judged.uplift - judged.half_width',
            'uplift_high': 'judged.uplift + judged.half_width',
        }.items() %}
            case
                when judged.effect <> 'too_few' then {{ to_amount(value) }}
            end as {{ name }}_amount,
        {%- endfor %}
        judged.effect,
        effect_labels.label_en as effect_label_en,
        effect_labels.label_zh as effect_label_zh
    from judged
    inner join effect_labels on judged.effect = effect_labels.code
)

select * from final
