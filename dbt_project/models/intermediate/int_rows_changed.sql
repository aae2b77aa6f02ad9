-- Empty on a first release and on a rebuild: there every key is built anyway.
with row_changes as (
    select * from {{ ref('stg_landing__row_changes') }}
),

run_context as (
    select
        release_sequence,
        -- a day recomputed in the past takes rows out: the window runs either way
        least(parent_as_of, as_of) as window_after,
        greatest(parent_as_of, as_of) as window_until
    from {{ ref('stg_landing__run_context') }}
    where parent_as_of is not null and not is_rebuild
)

select distinct
    row_changes.feed,
    row_changes.row_key,
    row_changes.customer_id,
    row_changes.order_id
from row_changes
cross join run_context
where
    row_changes.changed_in >= run_context.release_sequence
    or (
        row_changes.business_on > run_context.window_after
        and row_changes.business_on <= run_context.window_until
    )
    or (
        row_changes.later_on > run_context.window_after
        and row_changes.later_on <= run_context.window_until
    )
    or (
        row_changes.other_later_on > run_context.window_after
        and row_changes.other_later_on <= run_context.window_until
    )
