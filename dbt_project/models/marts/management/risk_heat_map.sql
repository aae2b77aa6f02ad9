with risk_register as (
    select * from {{ ref('risk_register') }}
),

risk_classes as (
    select * from {{ ref('risk_classes') }}
    where {{ is_in_force() }}
),

risk_rules as (
    select * from {{ ref('risk_rules') }}
    where {{ is_in_force() }}
),

final as (
    select
        risk_rules.risk_kind,
        cast(likelihoods.class_no as integer) as likelihood_class,
        cast(impacts.class_no as integer) as impact_class,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        risk_rules.label_en as risk_label_en,
        risk_rules.label_zh as risk_label_zh,
        likelihoods.label_en as likelihood_label_en,
        likelihoods.label_zh as likelihood_label_zh,
        impacts.label_en as impact_label_en,
        impacts.label_zh as impact_label_zh,
        cast(count(risk_register.customer_id) as integer) as count_customers,
        cast(coalesce(sum(risk_register.impact_amount), 0) as decimal(18, 2)) as impact_amount,
        cast(coalesce(sum(risk_register.expected_loss_amount), 0) as decimal(18, 2))
            as expected_loss_amount
    from risk_rules
    cross join risk_classes as likelihoods
    cross join risk_classes as impacts
    left join risk_register
        on
            risk_rules.risk_kind = risk_register.risk_kind
            and likelihoods.class_no = risk_register.likelihood_class
            and impacts.class_no = risk_register.impact_class
    where likelihoods.axis = 'likelihood' and impacts.axis = 'impact'
    group by all
)

select * from final
