with ledger as (
    select * from {{ ref('stg_landing__ledger') }}
),

final as (
    select
        feed,
        currency,
        batch_id,
        cast(release_sequence as integer) as release_sequence,
        count_rows_pulled,
        -- a row that waits for its reference counts as quarantined until the reference arrives
        count_rows_accepted - coalesce(count_rows_held, 0) as count_rows_accepted,
        count_rows_quarantined + coalesce(count_rows_held, 0) as count_rows_quarantined,
        count_rows_duplicate,
        count_rows_superseded,
        coalesce(count_rows_held, 0) as count_rows_held,
        source_rows,
        pulled_amount,
        cast(accepted_amount - coalesce(held_amount, 0) as decimal(38, 2)) as accepted_amount,
        cast(quarantined_amount + coalesce(held_amount, 0) as decimal(38, 2))
            as quarantined_amount,
        duplicate_amount,
        superseded_amount,
        cast(coalesce(held_amount, 0) as decimal(38, 2)) as held_amount,
        source_amount
    from ledger
)

select * from final
