with history as (
    select * from {{ ref('credit_score_history') }}
),

grades as (
    select * from {{ ref('credit_grades') }}
    where {{ is_in_force() }}
),

-- 'new' had no document the month before, 'none' has no grade
moves as (
    select
        month_on,
        case
            when lag(month_on) over by_month is null then 'new'
            else coalesce(lag(grade) over by_month, 'none')
        end as from_grade,
        coalesce(grade, 'none') as to_grade
    from history
    window by_month as (partition by customer_id order by month_on)
),

counted_moves as (
    select
        month_on,
        from_grade,
        to_grade,
        count(*) as count_customers
    from moves
    group by month_on, from_grade, to_grade
),

rated_moves as (
    select
        *,
        sum(count_customers) over (partition by month_on, from_grade) as count_from
    from counted_moves
),

final as (
    select
        rated_moves.month_on,
        rated_moves.from_grade,
        rated_moves.to_grade,
        case
            when to_grades.grade_order < from_grades.grade_order then 'up'
            when to_grades.grade_order > from_grades.grade_order then 'down'
            when to_grades.grade_order = from_grades.grade_order then 'same'
        end as direction,
        cast(rated_moves.count_customers as integer) as count_customers,
        cast(rated_moves.count_from as integer) as count_from,
        {{ mean_of('rated_moves.count_customers', 'rated_moves.count_from') }} as migration_rate
    from rated_moves
    left join grades as from_grades on rated_moves.from_grade = from_grades.grade
    left join grades as to_grades on rated_moves.to_grade = to_grades.grade
)

select * from final
