-- Empty on a first release and on a rebuild: there every key is built anyway.
with row_changes as (
    select * from {{ ref('stg_landing__row_changes') }}
),

customer_versions as (
    select * from {{ ref('stg_landing__customer_versions') }}
),

run_context as (
    select
        release_sequence,
        -- a day recomputed in the past takes rows out: the window runs either way
        least(parent_as_of, as_of) as window_after,
        greatest(parent_as_of, as_of) as window_until
    from {{ ref('stg_landing__run_context') }}
    where parent_as_of is not null and not is_rebuild
),

rows_in_view as (
    select
        row_changes.feed,
        row_changes.row_key,
        row_changes.customer_id,
        row_changes.order_id,
        least(row_changes.business_on, row_changes.later_on, row_changes.other_later_on)
            as first_on
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
),

-- a customer reads otherwise when the as-of date passes one of its versions
versions_in_view as (
    select
        'customers' as feed,
        customer_versions.source_customer_id as row_key,
        customer_versions.customer_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        cast(null as date) as first_on
    from customer_versions
    cross join run_context
    where
        customer_versions.changed_in >= run_context.release_sequence
        or (
            customer_versions.updated_on > run_context.window_after
            and customer_versions.updated_on <= run_context.window_until
        )
)

select * from rows_in_view
union
select * from versions_in_view
