with closed_rows as (
    select * from {{ ref('stg_landing__quarantine_closed') }}
),

final as (
    select
        quarantine_id,
        feed,
        rule,
        row_key,
        source_location,
        coalesce(owner, 'unassigned') as owner,
        currency,
        quarantined_amount,
        first_seen_at,
        batch_id,
        closed_by,
        decided_by,
        decision_reason,
        waived_until,
        replay_batch_id,
        cast(release_sequence as integer) as release_sequence
    from closed_rows
)

select * from final
