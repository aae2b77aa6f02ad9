with quarantine as (
    select * from {{ ref('stg_landing__quarantine') }}
),

final as (
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
)

select * from final
