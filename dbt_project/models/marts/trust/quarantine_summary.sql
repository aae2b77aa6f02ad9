with quarantine as (
    select * from {{ ref('stg_landing__quarantine') }}
),

closed_rows as (
    select * from {{ ref('stg_landing__quarantine_closed') }}
),

open_totals as (
    select
        feed,
        rule,
        coalesce(owner, 'unassigned') as owner,
        cast(count(*) as integer) as count_rows,
        -- amounts of different currencies are never added: then both columns are null
        case
            when count(distinct currency) = 1
                then cast(sum(quarantined_amount) as decimal(38, 2))
        end as amount,
        case when count(distinct currency) = 1 then max(currency) end as currency,
        cast(count(distinct currency) as integer) as count_currencies,
        min(first_seen_at) as oldest_first_seen_at
    from quarantine
    group by feed, rule, coalesce(owner, 'unassigned')
),

closed_totals as (
    select
        feed,
        rule,
        coalesce(owner, 'unassigned') as owner,
        count(*) as count_rows_closed
    from closed_rows
    group by feed, rule, coalesce(owner, 'unassigned')
),

final as (
    select
        open_totals.feed,
        open_totals.rule,
        open_totals.owner,
        open_totals.count_rows,
        open_totals.amount,
        open_totals.currency,
        open_totals.count_currencies,
        open_totals.oldest_first_seen_at,
        cast(coalesce(closed_totals.count_rows_closed, 0) as integer) as count_rows_closed
    from open_totals
    left join closed_totals
        on
            open_totals.feed = closed_totals.feed
            and open_totals.rule = closed_totals.rule
            and open_totals.owner = closed_totals.owner
)

select * from final
