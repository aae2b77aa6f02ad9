with releases as (
    select * from {{ ref('stg_landing__releases') }}
),

run_context as (
    select * from {{ ref('stg_landing__run_context') }}
),

final as (
    select
        releases.release_id,
        cast(releases.release_sequence as integer) as release_sequence,
        releases.parent_release_id,
        releases.run_id,
        releases.as_of,
        releases.started_at,
        releases.code_version,
        cast(releases.count_batches as integer) as count_batches,
        releases.is_rebuild,
        releases.release_id = run_context.release_id as is_this_release
    from releases
    cross join run_context
)

select * from final
