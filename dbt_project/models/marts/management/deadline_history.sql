{%- set again_within_days = management_parameter('told_again_within_days') -%}

with handed_on as (
    select * from {{ ref('stg_landing__deadlines') }}
),

-- who is held out is asked for nothing
actions as (
    select * from {{ ref('int_customer_actions') }}
    where selection <> 'held_out'
),

risks as (
    select * from {{ ref('int_customer_risks') }}
),

-- whatever is told on a day is told for all of it: what breaks off and comes back within it goes on
day_before as (
    select max(as_of) as as_of
    from {{ ref('stg_landing__releases') }}
    where as_of < {{ as_of_date() }}
),

standing as (
    select
        'action' as subject_kind,
        action_id as subject_id,
        customer_id,
        action_code as code,
        due_days,
        selection = 'selected' as is_told
    from actions
    union all
    select
        'risk' as subject_kind,
        risk_id as subject_id,
        customer_id,
        risk_kind as code,
        due_days,
        true as is_told
    from risks
),

-- what a release as of a later day told is not known yet
stood_before as (
    select
        handed_on.*,
        coalesce(handed_on.last_told_on >= day_before.as_of, true) as was_told
    from handed_on
    cross join day_before
    where
        handed_on.since_on <= {{ as_of_date() }}
        and coalesce(handed_on.last_stood_on >= day_before.as_of, true)
    qualify row_number() over (
        partition by handed_on.subject_kind, handed_on.subject_id
        order by handed_on.since_on desc
    ) = 1
),

-- a row goes on where it was told the day before, or is not told again; what stood all the time,
-- but for a few days found no room on its list, is told by a new row with the old deadline
standing_before as (
    select
        standing.*,
        stood_before.since_on,
        stood_before.first_told_on,
        stood_before.due_on,
        stood_before.last_told_on,
        stood_before.last_stood_on,
        stood_before.release_sequence,
        stood_before.subject_id is not null and (stood_before.was_told or not standing.is_told)
            as is_going_on,
        coalesce(
            stood_before.was_told
            or stood_before.last_told_on
            >= {{ add_days(as_of_date(), '-' ~ again_within_days) }},
            false
        ) as has_deadline
    from standing
    left join stood_before
        on
            standing.subject_kind = stood_before.subject_kind
            and standing.subject_id = stood_before.subject_id
    where standing.is_told or stood_before.subject_id is not null
),

standing_since as (
    select
        subject_kind,
        subject_id,
        case when is_going_on then since_on else {{ as_of_date() }} end as since_on,
        case when is_going_on or has_deadline then first_told_on else {{ as_of_date() }} end
            as first_told_on,
        customer_id,
        code,
        case
            when is_going_on or has_deadline then due_on
            else {{ add_days(as_of_date(), 'due_days') }}
        end as due_on,
        case
            when not is_told then last_told_on
            when is_going_on then greatest(last_told_on, {{ as_of_date() }})
            else {{ as_of_date() }}
        end as last_told_on,
        case
            when is_going_on then greatest(last_stood_on, {{ as_of_date() }})
            else {{ as_of_date() }}
        end as last_stood_on,
        is_told as is_open,
        case
            when is_going_on then release_sequence
            else {{ of_run_context('release_sequence') }}
        end as release_sequence
    from standing_before
),

no_longer_standing as (
    select
        handed_on.subject_kind,
        handed_on.subject_id,
        handed_on.since_on,
        handed_on.first_told_on,
        handed_on.customer_id,
        handed_on.code,
        handed_on.due_on,
        handed_on.last_told_on,
        handed_on.last_stood_on,
        false as is_open,
        handed_on.release_sequence
    from handed_on
    left join standing_since
        on
            handed_on.subject_kind = standing_since.subject_kind
            and handed_on.subject_id = standing_since.subject_id
            and handed_on.since_on = standing_since.since_on
    where standing_since.subject_id is null
),

all_deadlines as (
    select * from standing_since
    union all
    select * from no_longer_standing
),

final as (
    select
        subject_kind,
        subject_id,
        since_on,
        customer_id,
        code,
        {{ as_of_date() }} as as_of,
        first_told_on,
        cast(due_on as date) as due_on,
        last_told_on,
        last_stood_on,
        is_open,
        cast(
            case
                when is_open then greatest({{ days_between('due_on', as_of_date()) }}, 0) else 0
            end as integer
        ) as overdue_days,
        release_sequence
    from all_deadlines
)

select * from final
