with actions as (
    select * from {{ ref('int_customer_actions') }}
),

deadlines as (
    select * from {{ ref('deadline_history') }}
    where subject_kind = 'action' and is_open
),

final as (
    select
        actions.action_id,
        actions.customer_id,
        actions.action_code,
        actions.as_of,
        actions.currency,
        actions.action_label_en,
        actions.action_label_zh,
        actions.customer_rank,
        actions.owner_rank,
        actions.selection,
        actions.selection_label_en,
        actions.selection_label_zh,
        actions.is_mandatory,
        actions.is_tracked,
        actions.owner_role,
        actions.owner_role_label_en,
        actions.owner_role_label_zh,
        actions.account_manager,
        deadlines.first_told_on as since_on,
        deadlines.due_on,
        coalesce(deadlines.overdue_days, 0) as overdue_days,
        actions.reason_en,
        actions.step_en,
        actions.reason_zh,
        actions.step_zh,
        actions.stake_amount,
        actions.success_rate,
        actions.cost_amount,
        actions.expected_value_amount
    from actions
    left join deadlines on actions.action_id = deadlines.subject_id
)

select * from final
