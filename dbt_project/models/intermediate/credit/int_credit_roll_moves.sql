-- From one month end to the next; the month that runs is left out, for it is not over.
with months as (
    select
        *,
        lead(roll_state) over by_month as next_roll_state,
        lead(has_defaulted_in_month) over by_month as defaults_next,
        lead(month_on) over by_month as next_month_on
    from {{ ref('int_credit_months') }}
    window by_month as (partition by customer_id order by month_on)
),

moves as (
    select
        roll_state as from_state,
        -- a default that is cured within its month is one all the same
        case when defaults_next then 'default' else next_roll_state end as to_state
    from months
    where
        is_active
        and not is_in_default
        and {{ add_days(add_months('next_month_on', 1), -1) }} <= {{ as_of_date() }}
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
