with risks as (
    select * from {{ ref('int_customer_risks') }}
),

deadlines as (
    select * from {{ ref('deadline_history') }}
    where subject_kind = 'risk' and is_open
),

final as (
    select
        risks.customer_id,
        risks.risk_kind,
        risks.as_of,
        risks.currency,
        risks.risk_rank,
        risks.risk_label_en,
        risks.risk_label_zh,
        risks.likelihood_rate,
        risks.likelihood_basis,
        risks.impact_amount,
        risks.expected_loss_amount,
        risks.likelihood_class,
        risks.impact_class,
        risks.risk_level,
        risks.risk_level_label_en,
        risks.risk_level_label_zh,
        risks.driver_en,
        risks.response_en,
        risks.driver_zh,
        risks.response_zh,
        risks.owner_role,
        risks.account_manager,
        deadlines.first_told_on as since_on,
        deadlines.due_on,
        deadlines.overdue_days
    from risks
    left join deadlines on risks.risk_id = deadlines.subject_id
)

select * from final
