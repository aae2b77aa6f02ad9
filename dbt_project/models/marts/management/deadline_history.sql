with handed_on as (
    select * from {{ ref('stg_landing__deadlines') }}
),

actions as (
    select * from {{ ref('int_customer_actions') }}
    where selection = 'selected'
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

told as (
    select
        'action' as subject_kind,
        action_id as subject_id,
        customer_id,
        action_code as code,
        due_days
    from actions
    union all
    select
        'risk' as subject_kind,
        risk_id as subject_id,
        customer_id,
        risk_kind as code,
        due_days
    from risks
),

-- what a release as of a later day told is not known yet
going_on as (
    select handed_on.*
    from handed_on
    cross join day_before
    where
        handed_on.since_on <= {{ as_of_date() }}
        and coalesce(handed_on.last_told_on >= day_before.as_of, true)
    qualify row_number() over (
        partition by handed_on.subject_kind, handed_on.subject_id
        order by handed_on.since_on desc
    ) = 1
),

told_since as (
    select
        told.subject_kind,
        told.subject_id,
        coalesce(going_on.since_on, {{ as_of_date() }}) as since_on,
        told.customer_id,
        told.code,
        coalesce(going_on.due_on, {{ add_days(as_of_date(), 'told.due_days') }}) as due_on,
        greatest(
            coalesce(going_on.last_told_on, {{ as_of_date() }}), {{ as_of_date() }}
        ) as last_told_on,
        true as is_open,
        coalesce(going_on.release_sequence, {{ of_run_context('release_sequence') }})
            as release_sequence
    from told
    left join going_on
        on
            told.subject_kind = going_on.subject_kind
            and told.subject_id = going_on.subject_id
),

no_longer_told as (
    select
        handed_on.subject_kind,
        handed_on.subject_id,
        handed_on.since_on,
        handed_on.customer_id,
        handed_on.code,
        handed_on.due_on,
        handed_on.last_told_on,
        false as is_open,
        handed_on.release_sequence
    from handed_on
    left join told_since
        on
            handed_on.subject_kind = told_since.subject_kind
            and handed_on.subject_id = told_since.subject_id
            and handed_on.since_on = told_since.since_on
    where told_since.subject_id is null
),

all_deadlines as (
    select * from told_since
    union all
    select * from no_longer_told
),

final as (
    select
        subject_kind,
        subject_id,
        since_on,
        customer_id,
        code,
        {{ as_of_date() }} as as_of,
        cast(due_on as date) as due_on,
        last_told_on,
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
