-- The grade of today, since when without a break, and the one of some days before.
with scores as (
    select * from {{ ref('int_credit_scores') }}
),

grades as (
    select * from {{ ref('credit_grades') }}
    where {{ is_in_force() }}
),

alert_rules as (
    select * from {{ ref('credit_alert_rules') }}
    where kind = 'grade_downgrade' and {{ is_in_force() }}
),

graded_months as (
    select
        scores.customer_id,
        scores.state_on,
        scores.in_default_since_on,
        grades.grade,
        grades.grade_order
    from scores
    inner join grades on scores.grade = grades.grade
),

grades_now as (
    select * from graded_months
    where state_on = {{ as_of_date() }}
),

grades_before as (
    select graded_months.*
    from graded_months
    cross join alert_rules
    where graded_months.state_on <= {{ add_days(as_of_date(), '-alert_rules.window_days') }}
    qualify row_number() over (
        partition by graded_months.customer_id order by graded_months.state_on desc
    ) = 1
),

-- a month without a grade is a break as well
last_other_grades as (
    select
        scores.customer_id,
        max(scores.state_on) as last_other_on
    from scores
    inner join grades_now on scores.customer_id = grades_now.customer_id
    where coalesce(scores.grade <> grades_now.grade, true)
    group by scores.customer_id
),

since as (
    select
        graded_months.customer_id,
        min(graded_months.state_on) as since_on
    from graded_months
    left join last_other_grades on graded_months.customer_id = last_other_grades.customer_id
    where coalesce(graded_months.state_on > last_other_grades.last_other_on, true)
    group by graded_months.customer_id
),

final as (
    select
        grades_now.customer_id,
        grades_now.grade,
        grades_now.grade_order,
        -- of a default the day is known, of a grade the month end
        coalesce(grades_now.in_default_since_on, since.since_on) as since_on,
        grades_before.state_on as before_on,
        grades_before.grade as before_grade,
        grades_before.grade_order as before_grade_order
    from grades_now
    inner join since on grades_now.customer_id = since.customer_id
    left join grades_before on grades_now.customer_id = grades_before.customer_id
)

select * from final
