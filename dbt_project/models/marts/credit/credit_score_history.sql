with scores as (
    select * from {{ ref('int_credit_scores') }}
),

grades as (
    select * from {{ ref('credit_grades') }}
    where {{ is_in_force() }}
),

final as (
    select
        scores.customer_id,
        scores.month_on,
        scores.state_on,
        scores.state_on = {{ as_of_date() }} as is_latest,
        scores.grade,
        grades.grade_order,
        scores.pd_probability,
        scores.score,
        scores.score_basis,
        scores.model_version,
        scores.model_grade,
        scores.model_pd_probability,
        scores.is_in_default
    from scores
    left join grades on scores.grade = grades.grade
)

select * from final
