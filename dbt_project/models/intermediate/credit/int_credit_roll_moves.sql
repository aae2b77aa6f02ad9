-- From one month end to the next; the month that runs is left out, for it is not over.
with months as (
    select * from {{ ref('int_credit_months') }}
    where moved_from_state is not null and month_on < {{ month_start(add_days(as_of_date(), 1)) }}
),

moves as (
    select
        moved_from_state as from_state,
        -- a default that is cured within its month is one all the same
        case when has_defaulted_in_month then 'default' else roll_state end as to_state
    from months
),

final as (
    select
        from_state,
        to_state,
        count(*) as count_moves
    from moves
    group by from_state, to_state
)

select * from final
