{#- A complaint counts in a month as it stood at the month's end: what came later is not known. -#}
{%- set dimensions = {
    'book': "'all'",
    'severity': 'severity',
    'category': 'category',
    'segment': 'segment',
    'product_category': 'product_category',
    'root_cause': 'root_cause',
} -%}

with complaint_cases as (
    select
        cases.*,
        history.rfm_segment as segment
    from {{ ref('complaint_cases') }} as cases
    left join {{ ref('customer_segment_history') }} as history
        on
            cases.customer_id = history.customer_id
            and {{ month_start('cases.opened_on') }} = history.month_on
),

voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

severity_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'complaint_severity' and {{ is_in_force() }}
),

segment_labels as (
    select distinct
        segment,
        label_en,
        label_zh
    from {{ ref('rfm_segment_map') }}
    where {{ is_in_force() }}
),

-- an open complaint of long ago still counts as open: it is followed until it is resolved
first_months as (
    select
        min({{ month_start('opened_on') }}) as first_month_on,
        {{ month_start(as_of_date()) }} as last_month_on
    from complaint_cases
    having count(*) > 0
),

months as (
    select
        month_on,
        {{ state_on('month_on') }} as state_on
    from (
        select
            cast({{ explode_months('first_month_on', 'last_month_on') }} as date) as month_on
        from first_months
    ) as exploded
),

cases_of_months as (
    select
        months.month_on,
        months.state_on,
        complaint_cases.*,
        {{ month_start('complaint_cases.opened_on') }} as opened_month_on,
        complaint_cases.resolved_on <= months.state_on as is_resolved_by_then,
        {{ months_between('complaint_cases.opened_on', 'months.month_on') }}
        < {{ voice_window_months() }} as is_in_window
    from months
    inner join complaint_cases on months.state_on >= complaint_cases.opened_on
    where
        {{ months_between('complaint_cases.opened_on', 'months.month_on') }}
        < {{ voice_window_months() }}
        or complaint_cases.resolved_on is null
        or complaint_cases.resolved_on >= months.month_on
),

known_cases as (
    select
        month_on,
        is_in_window,
        opened_month_on = month_on as is_opened,
        coalesce(resolved_on between month_on and state_on, false) as is_resolved_in_month,
        coalesce(is_resolved_by_then, false) as is_resolved,
        answer_status = 'answered' and cast(responded_at as date) <= state_on as is_answered,
        -- whoever waited longer than agreed was not answered in time, whenever it was
        (
            answer_status = 'waiting'
            or (answer_status = 'answered' and cast(responded_at as date) > state_on)
        )
        and answer_late_on <= state_on as is_answer_late,
        hours_to_answer,
        answer_sla_status,
        days_to_resolve,
        resolve_sla_status,
        sla_due_on,
        state_on,
        is_reopened,
        is_repeat,
        is_satisfied,
        compensation_amount,
        csat_before_rate,
        csat_after_rate,
        case
            when {{ add_days('opened_on', 90) }} <= state_on then revenue_90_days_before_amount
        end as judged_before_amount,
        case
            when {{ add_days('opened_on', 90) }} <= state_on then revenue_90_days_after_amount
        end as judged_after_amount,
        case
            when {{ add_days('opened_on', 90) }} <= state_on then win_back_status
        end as win_back_status,
        severity,
        category,
        segment,
        product_category,
        root_cause
    from cases_of_months
),

cases_by_member as (
    {% for dimension, member in dimensions.items() -%}
        select
            '{{ dimension }}' as dimension,
            coalesce({{ member }}, 'none') as member,
            *
        from known_cases
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

summed_cases as (
    select
        dimension,
        member,
        month_on,
        count(*) filter (where is_opened) as count_opened,
        count(*) filter (where is_resolved_in_month) as count_resolved,
        count(*) filter (where not is_resolved) as count_open,
        count(*) filter (where not is_resolved and sla_due_on < state_on) as count_open_overdue,
        count(*) filter (where is_in_window) as count_complaints,
        count(*) filter (where is_in_window and is_answered and hours_to_answer is not null)
            as count_answered,
        count(*) filter (where is_in_window and is_resolved) as count_resolved_of_window,
        -- decimals: a sum of doubles hangs on the order of the rows
        sum(cast(hours_to_answer as decimal(18, 9))) filter (where is_in_window and is_answered)
            as hours_to_answer_total,
        sum(days_to_resolve) filter (where is_in_window and is_resolved) as days_to_resolve_total,
        count(*) filter (
            where
            is_in_window
            and (
                (is_answered and answer_sla_status in ('kept', 'breached'))
                or is_answer_late
            )
        ) as count_answer_judged,
        count(*) filter (where is_in_window and is_answered and answer_sla_status = 'kept')
            as count_answer_kept,
        count(*) filter (
            where
            is_in_window
            and resolve_sla_status <> 'no_sla'
            and (is_resolved or sla_due_on < state_on)
        ) as count_resolve_judged,
        count(*) filter (where is_in_window and is_resolved and resolve_sla_status = 'kept')
            as count_resolve_kept,
        count(*) filter (where is_in_window and is_reopened) as count_reopened,
        count(*) filter (where is_in_window and is_repeat) as count_repeat,
        count(is_satisfied) filter (where is_in_window and is_resolved) as count_satisfaction_known,
        count(*) filter (where is_in_window and is_resolved and is_satisfied) as count_satisfied,
        {{ sum_amount(
            'case when is_in_window and is_resolved then compensation_amount end'
        ) }} as compensation_amount,
        count(*) filter (
            where is_in_window and win_back_status in ('won_back', 'not_won_back')
        ) as count_win_back_judged,
        count(*) filter (where is_in_window and win_back_status = 'won_back') as count_won_back,
        {{ sum_amount('case when is_in_window then judged_before_amount end') }}
            as judged_before_amount,
        {{ sum_amount('case when is_in_window then judged_after_amount end') }}
            as judged_after_amount,
        {{ mean_of(
            'sum(cast(csat_before_rate as decimal(18, 9))) '
            ~ 'filter (where is_in_window and is_resolved '
            ~ 'and csat_before_rate is not null and csat_after_rate is not null)',
            'count(*) filter (where is_in_window and is_resolved '
            ~ 'and csat_before_rate is not null and csat_after_rate is not null)',
        ) }} as csat_before_rate,
        {{ mean_of(
            'sum(cast(csat_after_rate as decimal(18, 9))) '
            ~ 'filter (where is_in_window and is_resolved '
            ~ 'and csat_before_rate is not null and csat_after_rate is not null)',
            'count(*) filter (where is_in_window and is_resolved '
            ~ 'and csat_before_rate is not null and csat_after_rate is not null)',
        ) }} as csat_after_rate
    from cases_by_member
    group by dimension, member, month_on
),

final as (
    select
        summed_cases.dimension,
        dimension_texts.label_en as dimension_label_en,
        dimension_texts.label_zh as dimension_label_zh,
        summed_cases.member,
        coalesce(
            severity_labels.label_en, segment_labels.label_en, member_texts.label_en,
            summed_cases.member
        ) as member_label_en,
        coalesce(
            severity_labels.label_zh, segment_labels.label_zh, member_texts.label_zh,
            summed_cases.member
        ) as member_label_zh,
        summed_cases.month_on,
        {{ state_on('summed_cases.month_on') }} as state_on,
        cast(summed_cases.count_opened as integer) as count_opened,
        cast(summed_cases.count_resolved as integer) as count_resolved,
        cast(summed_cases.count_open as integer) as count_open,
        cast(summed_cases.count_open_overdue as integer) as count_open_overdue,
        cast(summed_cases.count_complaints as integer) as count_complaints_12_months,
        cast(summed_cases.count_answered as integer) as count_answered_12_months,
        round({{ mean_of('summed_cases.hours_to_answer_total', 'summed_cases.count_answered') }}, 6)
            as hours_to_answer_mean,
        {{ mean_of('summed_cases.count_answer_kept', 'summed_cases.count_answer_judged') }}
            as answer_sla_rate,
        cast(summed_cases.count_resolved_of_window as integer) as count_resolved_12_months,
        {{ mean_of(
            'summed_cases.days_to_resolve_total', 'summed_cases.count_resolved_of_window'
        ) }} as days_to_resolve_mean,
        {{ mean_of('summed_cases.count_resolve_kept', 'summed_cases.count_resolve_judged') }}
            as resolve_sla_rate,
        {{ mean_of('summed_cases.count_reopened', 'summed_cases.count_complaints') }}
            as reopened_rate,
        {{ mean_of('summed_cases.count_repeat', 'summed_cases.count_complaints') }} as repeat_rate,
        {{ mean_of('summed_cases.count_satisfied', 'summed_cases.count_satisfaction_known') }}
            as satisfied_rate,
        round(summed_cases.csat_before_rate, 6) as csat_before_rate,
        round(summed_cases.csat_after_rate, 6) as csat_after_rate,
        {{ reporting_currency() }} as currency,
        summed_cases.compensation_amount,
        cast(summed_cases.count_win_back_judged as integer) as count_win_back_judged,
        {{ mean_of('summed_cases.count_won_back', 'summed_cases.count_win_back_judged') }}
            as win_back_rate,
        summed_cases.judged_before_amount as revenue_90_days_before_amount,
        summed_cases.judged_after_amount as revenue_90_days_after_amount
    from summed_cases
    left join voice_texts as dimension_texts
        on
            summed_cases.dimension = dimension_texts.code
            and dimension_texts.area = 'complaint_dimension'
    left join severity_labels
        on summed_cases.dimension = 'severity' and summed_cases.member = severity_labels.code
    left join segment_labels
        on summed_cases.dimension = 'segment' and summed_cases.member = segment_labels.segment
    left join voice_texts as member_texts
        on
            summed_cases.member = member_texts.code
            and member_texts.area = case
                when summed_cases.member in ('all', 'none') then 'member'
                when summed_cases.dimension = 'category' then 'complaint_category'
                else summed_cases.dimension
            end
)

select * from final
