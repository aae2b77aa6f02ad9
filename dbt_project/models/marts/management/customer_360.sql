with customers as (
    select * from {{ ref('dim_customers') }}
),

segments as (
    select * from {{ ref('customer_segments') }}
),

customer_values as (
    select * from {{ ref('customer_clv') }}
),

balances as (
    select * from {{ ref('receivables_balances') }}
    -- one currency a customer row: the reporting currency
    where currency = {{ reporting_currency() }}
),

credit_limits as (
    select * from {{ ref('credit_limits') }}
),

credit_scores as (
    select * from {{ ref('credit_scores') }}
),

credit_alerts as (
    select * from {{ ref('credit_alerts') }}
),

survey_responses as (
    select * from {{ ref('fct_survey_responses') }}
),

follow_ups as (
    select * from {{ ref('satisfaction_follow_ups') }}
),

loyalty as (
    select * from {{ ref('loyalty') }}
),

complaint_cases as (
    select * from {{ ref('complaint_cases') }}
),

customer_actions as (
    select * from {{ ref('customer_actions') }}
    where selection = 'selected'
),

risks as (
    select * from {{ ref('risk_register') }}
),

payments as (
    select * from {{ ref('fct_payments') }}
    where settled_on <= {{ as_of_date() }}
),

feeds as (
    select
        max(case when feed = 'survey_responses' and is_configured then 1 else 0 end) = 1
            as has_surveys,
        max(case when feed = 'payments' and is_configured then 1 else 0 end) = 1 as has_payments,
        max(case when feed = 'complaints' and is_configured then 1 else 0 end) = 1
            as has_complaints
    from {{ ref('stg_landing__feeds') }}
),

status_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'block_status' and {{ is_in_force() }}
),

satisfaction as (
    select
        customer_id,
        count(distinct response_id) as count_survey_responses,
        max(answered_on) as last_answered_on,
        {{ mean_of(
            "sum(score_rate) filter (where measure = 'csat')",
            "count(score_rate) filter (where measure = 'csat')",
        ) }} as csat_score_rate_mean
    from survey_responses
    group by customer_id
),

last_nps as (
    select
        customer_id,
        score as last_nps_score
    from survey_responses
    where measure = 'nps' and score is not null
    qualify row_number() over (
        partition by customer_id order by answered_at desc, response_id desc, question_code desc
    ) = 1
),

-- what we gave back lowers the sum, but is no payment of the customer's
payment_totals as (
    select
        customer_id,
        max(settled_on) filter (where payment_amount > 0) as last_paid_on,
        coalesce(
            sum(payment_amount) filter (
                where settled_on > {{ add_months(as_of_date(), -12) }}
            ),
            0
        ) as paid_12_months_amount,
        count(*) filter (
            where payment_amount > 0 and settled_on > {{ add_months(as_of_date(), -12) }}
        ) as count_payments_12_months
    from payments
    group by customer_id
),

-- alerts are ranked by severity first
alert_totals as (
    select
        customer_id,
        count(*) as count_alerts,
        min_by(severity, alert_rank) as highest_severity
    from credit_alerts
    group by customer_id
),

complaint_totals as (
    select
        customer_id,
        count(*) as count_complaints,
        count(*) filter (where is_open) as count_open_complaints,
        count(*) filter (where is_late) as count_late_complaints,
        max(opened_on) as last_complained_on
    from complaint_cases
    group by customer_id
),

action_totals as (
    select
        customer_id,
        count(*) as count_actions,
        min_by(action_code, customer_rank) as action_code,
        min_by(action_label_en, customer_rank) as action_label_en,
        min_by(action_label_zh, customer_rank) as action_label_zh,
        min_by(due_on, customer_rank) as due_on
    from customer_actions
    group by customer_id
),

risk_totals as (
    select
        customer_id,
        min_by(risk_kind, risk_rank) as risk_kind,
        min_by(risk_label_en, risk_rank) as risk_label_en,
        min_by(risk_label_zh, risk_rank) as risk_label_zh,
        min_by(risk_level, risk_rank) as risk_level
    from risks
    group by customer_id
),

joined_blocks as (
    select
        customers.*,
        customer_values.currency,
        -- segments
        segments.lifecycle,
        segments.lifecycle_label_en,
        segments.lifecycle_label_zh,
        segments.lifecycle_reason_en,
        segments.lifecycle_reason_zh,
        segments.rfm_code,
        segments.rfm_segment,
        segments.rfm_segment_label_en,
        segments.rfm_segment_label_zh,
        segments.abc_class,
        segments.abc_revenue_class,
        segments.scale_class,
        segments.sale_type,
        segments.recency_days,
        case when segments.rfm_code is null then 'no_order' else 'available' end as segment_status,
        -- value
        customer_values.count_orders,
        customer_values.historical_revenue_amount,
        customer_values.historical_margin_amount,
        customer_values.historical_clv_amount,
        customer_values.average_order_amount,
        customer_values.margin_basis,
        case
            when customer_values.count_orders = 0 then 'no_order'
            when
                customer_values.historical_margin_amount is null
                and customer_values.margin_basis = 'cost'
                then 'customer_costs_unknown'
            when customer_values.historical_margin_amount is null then 'costs_unknown'
            else 'available'
        end as value_status,
        customer_values.probability_alive,
        customer_values.expected_clv_12_months_amount,
        customer_values.expected_clv_36_months_amount,
        customer_values.next_purchase_until_on,
        customer_values.clv_status as expected_value_status,
        customer_values.clv_status_label_en as expected_value_status_label_en,
        customer_values.clv_status_label_zh as expected_value_status_label_zh,
        -- receivables
        balances.open_amount,
        balances.overdue_amount,
        balances.oldest_overdue_days,
        balances.unapplied_cash_amount,
        balances.bills_outstanding_amount,
        case when balances.customer_id is null then 'no_document' else 'available' end
            as receivables_status,
        -- credit
        credit_scores.grade as credit_grade,
        credit_scores.pd_probability,
        credit_limits.exposure_amount,
        credit_limits.utilisation_rate as credit_utilisation_rate,
        credit_limits.recommended_limit_amount,
        coalesce(alert_totals.count_alerts, 0) as count_credit_alerts,
        alert_totals.highest_severity as highest_alert_severity,
        case when credit_scores.grade is null then 'not_graded' else 'available' end
            as credit_status,
        -- satisfaction
        last_nps.last_nps_score,
        satisfaction.csat_score_rate_mean,
        satisfaction.last_answered_on,
        coalesce(satisfaction.count_survey_responses, 0) as count_survey_responses,
        case
            when satisfaction.customer_id is not null then 'available'
            when feeds.has_surveys then 'no_survey_answered'
            else 'no_survey_feed'
        end as satisfaction_status,
        case
            when follow_ups.status in ('due', 'overdue') then follow_ups.unhappy_since_on
        end as unanswered_since_on,
        loyalty.loyalty_score,
        -- complaints
        case when feeds.has_complaints then coalesce(complaint_totals.count_open_complaints, 0) end
            as count_open_complaints,
        case when feeds.has_complaints then coalesce(complaint_totals.count_late_complaints, 0) end
            as count_late_complaints,
        complaint_totals.last_complained_on,
        case
            when complaint_totals.customer_id is not null then 'available'
            when feeds.has_complaints then 'no_complaint'
            else 'no_complaint_feed'
        end as complaints_status,
        -- what to do and what could go wrong
        coalesce(action_totals.count_actions, 0) as count_actions,
        action_totals.action_code as first_action_code,
        action_totals.action_label_en as first_action_label_en,
        action_totals.action_label_zh as first_action_label_zh,
        action_totals.due_on as first_action_due_on,
        risk_totals.risk_kind as gravest_risk_kind,
        risk_totals.risk_label_en as gravest_risk_label_en,
        risk_totals.risk_label_zh as gravest_risk_label_zh,
        risk_totals.risk_level as gravest_risk_level,
        -- payments
        payment_totals.last_paid_on,
        payment_totals.paid_12_months_amount,
        case
            when payment_totals.count_payments_12_months > 0 then 'available'
            when payment_totals.last_paid_on is not null then 'no_payment_in_12_months'
            when balances.bills_outstanding_amount > 0 then 'bills_not_matured'
            when feeds.has_payments then 'no_payment'
            else 'no_payment_feed'
        end as payments_status
    from customers
    cross join feeds
    inner join segments on customers.customer_id = segments.customer_id
    inner join customer_values on customers.customer_id = customer_values.customer_id
    inner join credit_limits on customers.customer_id = credit_limits.customer_id
    inner join credit_scores on customers.customer_id = credit_scores.customer_id
    left join alert_totals on customers.customer_id = alert_totals.customer_id
    left join follow_ups on customers.customer_id = follow_ups.customer_id
    left join loyalty on customers.customer_id = loyalty.customer_id
    left join complaint_totals on customers.customer_id = complaint_totals.customer_id
    left join action_totals on customers.customer_id = action_totals.customer_id
    left join risk_totals on customers.customer_id = risk_totals.customer_id
    left join balances on customers.customer_id = balances.customer_id
    left join satisfaction on customers.customer_id = satisfaction.customer_id
    left join last_nps on customers.customer_id = last_nps.customer_id
    left join payment_totals on customers.customer_id = payment_totals.customer_id
),

final as (
    select
        joined_blocks.customer_id,
        {{ as_of_date() }} as as_of,
        joined_blocks.currency,
        -- identity
        joined_blocks.customer_name,
        joined_blocks.legal_id,
        joined_blocks.group_id,
        joined_blocks.industry,
        joined_blocks.size_class,
        joined_blocks.region,
        joined_blocks.customer_type,
        joined_blocks.account_manager,
        joined_blocks.payment_terms_days,
        joined_blocks.credit_limit_amount,
        joined_blocks.onboarded_on,
        joined_blocks.is_derived,
        -- segments
        joined_blocks.segment_status,
        segment_labels.label_en as segment_status_label_en,
        segment_labels.label_zh as segment_status_label_zh,
        joined_blocks.lifecycle,
        joined_blocks.lifecycle_label_en,
        joined_blocks.lifecycle_label_zh,
        joined_blocks.lifecycle_reason_en,
        joined_blocks.lifecycle_reason_zh,
        joined_blocks.rfm_code,
        joined_blocks.rfm_segment,
        joined_blocks.rfm_segment_label_en,
        joined_blocks.rfm_segment_label_zh,
        joined_blocks.abc_class,
        joined_blocks.abc_revenue_class,
        joined_blocks.scale_class,
        joined_blocks.sale_type,
        -- value
        joined_blocks.value_status,
        value_labels.label_en as value_status_label_en,
        value_labels.label_zh as value_status_label_zh,
        joined_blocks.first_ordered_on,
        joined_blocks.last_ordered_on,
        joined_blocks.recency_days,
        joined_blocks.count_orders,
        joined_blocks.historical_revenue_amount as revenue_amount,
        joined_blocks.historical_margin_amount as margin_amount,
        joined_blocks.historical_clv_amount,
        joined_blocks.average_order_amount,
        joined_blocks.margin_basis,
        joined_blocks.expected_value_status,
        joined_blocks.expected_value_status_label_en,
        joined_blocks.expected_value_status_label_zh,
        joined_blocks.probability_alive,
        joined_blocks.expected_clv_12_months_amount,
        joined_blocks.expected_clv_36_months_amount,
        joined_blocks.next_purchase_until_on,
        -- receivables
        joined_blocks.receivables_status,
        receivables_labels.label_en as receivables_status_label_en,
        receivables_labels.label_zh as receivables_status_label_zh,
        joined_blocks.open_amount,
        joined_blocks.overdue_amount,
        joined_blocks.oldest_overdue_days,
        joined_blocks.unapplied_cash_amount,
        joined_blocks.bills_outstanding_amount,
        -- credit
        joined_blocks.credit_status,
        credit_labels.label_en as credit_status_label_en,
        credit_labels.label_zh as credit_status_label_zh,
        joined_blocks.credit_grade,
        joined_blocks.pd_probability,
        joined_blocks.exposure_amount,
        joined_blocks.credit_utilisation_rate,
        joined_blocks.recommended_limit_amount,
        cast(joined_blocks.count_credit_alerts as integer) as count_credit_alerts,
        joined_blocks.highest_alert_severity,
        -- satisfaction
        joined_blocks.satisfaction_status,
        satisfaction_labels.label_en as satisfaction_status_label_en,
        satisfaction_labels.label_zh as satisfaction_status_label_zh,
        joined_blocks.last_nps_score,
        joined_blocks.csat_score_rate_mean,
        joined_blocks.last_answered_on,
        cast(joined_blocks.count_survey_responses as integer) as count_survey_responses,
        joined_blocks.unanswered_since_on,
        joined_blocks.loyalty_score,
        -- complaints
        joined_blocks.complaints_status,
        complaints_labels.label_en as complaints_status_label_en,
        complaints_labels.label_zh as complaints_status_label_zh,
        cast(joined_blocks.count_open_complaints as integer) as count_open_complaints,
        cast(joined_blocks.count_late_complaints as integer) as count_late_complaints,
        joined_blocks.last_complained_on,
        -- what to do and what could go wrong
        cast(joined_blocks.count_actions as integer) as count_actions,
        joined_blocks.first_action_code,
        joined_blocks.first_action_label_en,
        joined_blocks.first_action_label_zh,
        joined_blocks.first_action_due_on,
        joined_blocks.gravest_risk_kind,
        joined_blocks.gravest_risk_label_en,
        joined_blocks.gravest_risk_label_zh,
        joined_blocks.gravest_risk_level,
        -- payments
        joined_blocks.payments_status,
        payments_labels.label_en as payments_status_label_en,
        payments_labels.label_zh as payments_status_label_zh,
        cast(joined_blocks.paid_12_months_amount as decimal(18, 2)) as paid_12_months_amount,
        joined_blocks.last_paid_on
    from joined_blocks
    left join status_labels as segment_labels
        on joined_blocks.segment_status = segment_labels.code
    left join status_labels as value_labels
        on joined_blocks.value_status = value_labels.code
    left join status_labels as receivables_labels
        on joined_blocks.receivables_status = receivables_labels.code
    left join status_labels as credit_labels
        on joined_blocks.credit_status = credit_labels.code
    left join status_labels as satisfaction_labels
        on joined_blocks.satisfaction_status = satisfaction_labels.code
    left join status_labels as complaints_labels
        on joined_blocks.complaints_status = complaints_labels.code
    left join status_labels as payments_labels
        on joined_blocks.payments_status = payments_labels.code
)

select * from final
