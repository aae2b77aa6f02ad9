{{ config(materialized='view') }}

-- What the scorecard says, or else the roll rates; its grade; and what overrides it. Roll rates and
-- grades are those of the as-of date for all months, so nothing of this is kept.
with model_scores as (
    select * from {{ ref('int_credit_model_scores') }}
),

-- apart from the scores, which are read once: twice, DuckDB would keep every month of them
judged_months as (
    select
        customer_id,
        month_on,
        state_on
    from {{ ref('int_credit_model_scores') }}
),

roll_rates as (
    select * from {{ ref('int_credit_roll_rates') }}
),

grades as (
    select * from {{ ref('credit_grades') }}
    where {{ is_in_force() }}
),

credit_overrides as (
    select * from {{ ref('credit_overrides') }}
),

rated as (
    select
        model_scores.*,
        case
            when model_scores.model_basis = 'default' then 1
            when model_scores.model_basis = 'scorecard' then model_scores.scorecard_pd_probability
            when model_scores.model_basis = 'roll_rate' then roll_rates.pd_probability
        end as model_pd_probability
    from model_scores
    left join roll_rates on model_scores.roll_state = roll_rates.roll_state
),

graded as (
    select
        rated.*,
        grades.grade as model_grade
    from rated
    left join grades
        on case
            when rated.model_basis = 'default' then grades.is_default
            else
                rated.model_pd_probability >= grades.pd_from
                and (rated.model_pd_probability < grades.pd_to or grades.pd_to = 1)
        end
),

-- of several in force on the day the later decision
overridden as (
    select
        judged_months.customer_id,
        judged_months.month_on,
        credit_overrides.grade as override_grade,
        credit_overrides.reviewer as override_reviewer,
        credit_overrides.reason_en as override_reason_en,
        credit_overrides.reason_zh as override_reason_zh,
        credit_overrides.decided_on as override_decided_on,
        credit_overrides.expires_on as override_expires_on
    from judged_months
    inner join credit_overrides
        on
            judged_months.customer_id = credit_overrides.customer_id
            and {{ is_in_force_on('credit_overrides', 'judged_months.state_on') }}
            and credit_overrides.decided_on <= judged_months.state_on
            and credit_overrides.expires_on > judged_months.state_on
    qualify row_number() over (
        partition by judged_months.customer_id, judged_months.month_on
        order by
            credit_overrides.decided_on desc, credit_overrides.valid_from desc,
            credit_overrides.grade asc, credit_overrides.reviewer asc
    ) = 1
),

final as (
    select
        graded.customer_id,
        graded.month_on,
        graded.state_on,
        graded.is_in_default,
        graded.default_rule_code,
        graded.default_on,
        graded.in_default_since_on,
        graded.default_amount,
        graded.roll_state,
        graded.score,
        graded.model_version,
        graded.model_basis,
        graded.model_pd_probability,
        graded.model_grade,
        overridden.override_grade,
        overridden.override_reviewer,
        overridden.override_reason_en,
        overridden.override_reason_zh,
        overridden.override_decided_on,
        overridden.override_expires_on,
        -- a default is a fact: no override lifts it
        case
            when overridden.override_grade is null then null
            when graded.is_in_default then 'default_stands'
            else 'in_force'
        end as override_status,
        case
            when overridden.override_grade is not null and not graded.is_in_default
                then 'override'
            else graded.model_basis
        end as score_basis,
        case
            when overridden.override_grade is not null and not graded.is_in_default
                then grades.pd_representative
            else graded.model_pd_probability
        end as pd_probability,
        case
            when overridden.override_grade is not null and not graded.is_in_default
                then overridden.override_grade
            else graded.model_grade
        end as grade
    from graded
    left join overridden
        on
            graded.customer_id = overridden.customer_id
            and graded.month_on = overridden.month_on
    left join grades on overridden.override_grade = grades.grade
)

select * from final
