with drivers as (
    select * from {{ ref('int_satisfaction_drivers') }}
),

voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

-- where a driver scores low there is most to win
item_scores as (
    select
        question_code,
        {{ mean_of('sum(cast(score_rate as decimal(18, 6)))', 'count(*)') }} as score_rate_mean
    from {{ ref('int_satisfaction_item_answers') }}
    group by question_code
),

ranked_drivers as (
    select
        drivers.*,
        item_scores.score_rate_mean,
        case
            when drivers.is_driver
                then
                    row_number() over (
                        partition by drivers.is_driver
                        order by
                            drivers.effect * (1 - item_scores.score_rate_mean) desc,
                            drivers.question_code asc
                    )
        end as priority
    from drivers
    inner join item_scores on drivers.question_code = item_scores.question_code
),

final as (
    select
        ranked_drivers.question_code,
        coalesce(question_texts.label_en, ranked_drivers.question_code) as question_label_en,
        coalesce(question_texts.label_zh, ranked_drivers.question_code) as question_label_zh,
        {{ as_of_date() }} as as_of,
        ranked_drivers.count_answers as n,
        ranked_drivers.count_customers,
        ranked_drivers.score_rate_mean,
        round(ranked_drivers.effect, 6) as effect,
        round(ranked_drivers.low, 6) as low,
        round(ranked_drivers.high, 6) as high,
        ranked_drivers.p_value,
        ranked_drivers.p_adjusted,
        round(ranked_drivers.correlation, 6) as rank_correlation,
        ranked_drivers.is_driver,
        cast(ranked_drivers.priority as integer) as priority,
        ranked_drivers.status,
        status_texts.label_en as status_label_en,
        status_texts.label_zh as status_label_zh
    from ranked_drivers
    left join voice_texts as question_texts
        on
            ranked_drivers.question_code = question_texts.code
            and question_texts.area = 'question'
    left join voice_texts as status_texts
        on
            ranked_drivers.status = status_texts.code
            and status_texts.area = 'driver_status'
)

select * from final
