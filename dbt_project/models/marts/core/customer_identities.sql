with landed_rows as (
    select * from {{ ref('stg_landing__row_changes') }}
    where
        is_accepted
        and source_customer_id is not null
        and (business_on is null or business_on <= {{ as_of_date() }})
),

decisions as (
    select
        from_customer_id as source_customer_id,
        to_customer_id,
        kind,
        entry_no,
        decided_by,
        decided_on,
        reason,
        -- a split and a decision on one row leave the others where they are
        kind in ('merge', 'rekey')
        and row_key is null
        and (valid_from is null or valid_from <= {{ as_of_date() }})
        and (valid_to is null or valid_to > {{ as_of_date() }}) as is_in_force
    from {{ ref('stg_landing__identities') }}
    where kind <> 'distinct'
),

row_totals as (
    select
        source_customer_id,
        count(*) as count_rows,
        sum(case when customer_id <> source_customer_id then 1 else 0 end) as count_rows_moved
    from landed_rows
    group by source_customer_id
),

split_customers as (
    select distinct source_customer_id
    from decisions
    where kind = 'split'
),

leading_decisions as (
    select * from decisions
    qualify row_number() over (
        partition by source_customer_id
        order by
            case when is_in_force then 0 else 1 end asc,
            case when kind = 'split' then 1 else 0 end asc,
            entry_no desc
    ) = 1
),

-- an id that was decided on but never landed is listed too: it may be mistyped
known_ids as (
    select source_customer_id from row_totals
    union
    select source_customer_id from leading_decisions
),

final as (
    select
        known_ids.source_customer_id,
        case
            when leading_decisions.is_in_force then leading_decisions.to_customer_id
            else known_ids.source_customer_id
        end as customer_id,
        coalesce(leading_decisions.kind, 'own') as kind,
        split_customers.source_customer_id is not null as is_split,
        cast(coalesce(row_totals.count_rows, 0) as integer) as count_rows,
        cast(coalesce(row_totals.count_rows_moved, 0) as integer) as count_rows_moved,
        leading_decisions.decided_by,
        leading_decisions.decided_on,
        leading_decisions.reason
    from known_ids
    left join row_totals on known_ids.source_customer_id = row_totals.source_customer_id
    left join leading_decisions
        on known_ids.source_customer_id = leading_decisions.source_customer_id
    left join split_customers
        on known_ids.source_customer_id = split_customers.source_customer_id
)

select * from final
