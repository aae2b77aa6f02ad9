-- Where the balances of each bucket went within a month, summed over the months of a window. A
-- bucket that counts as lost is an end; so is a claim written off. Money and credit notes settle.
with group_moves as (
    select * from {{ ref('int_provision_group_moves') }}
),

cells as (
    select * from {{ ref('int_provision_cells') }}
),

windows as (
    select distinct
        month_on,
        last_month_on,
        window_months
    from cells
),

cell_buckets as (
    select distinct
        month_on,
        bucket_code,
        is_lost
    from cells
),

moves as (
    select
        provision_group,
        month_on,
        from_bucket,
        to_bucket as to_state,
        kept_amount as moved_amount,
        count_claims
    from group_moves
    where to_bucket is not null
    union all
    -- a claim that is paid in part is one move
    select
        provision_group,
        month_on,
        from_bucket,
        'settled' as to_state,
        settled_amount as moved_amount,
        case when to_bucket is null then count_claims else 0 end as count_claims
    from group_moves
    union all
    select
        provision_group,
        month_on,
        from_bucket,
        'lost' as to_state,
        written_off_amount as moved_amount,
        0 as count_claims
    from group_moves
),

window_moves as (
    select
        windows.month_on,
        moves.provision_group,
        moves.from_bucket,
        case when cell_buckets.is_lost then 'lost' else moves.to_state end as to_state,
        moves.moved_amount,
        moves.count_claims
    from windows
    inner join moves
        on
            windows.last_month_on >= moves.month_on
            and {{ months_between('moves.month_on', 'windows.last_month_on') }}
            < windows.window_months
    left join cell_buckets
        on
            windows.month_on = cell_buckets.month_on
            and moves.to_state = cell_buckets.bucket_code
),

final as (
    select
        month_on,
        provision_group,
        from_bucket,
        to_state,
        {{ sum_amount('moved_amount') }} as moved_amount,
        cast(sum(count_claims) as integer) as count_moves
    from window_moves
    group by month_on, provision_group, from_bucket, to_state
)

select * from final
