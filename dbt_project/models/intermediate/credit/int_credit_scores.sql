-- Every month end by the scorecard that is in force on the as-of date, so that two months differ by
-- what the customer did and never by the scorecard.
with months as (
    select * from {{ ref('int_credit_months') }}
),

card_points as (
    select * from {{ ref('int_credit_card_points') }}
),

model_runs as (
    select * from {{ ref('int_credit_model_runs') }}
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

-- a score of offset + factor * ln(odds): each factor * ln 2 points double the odds
cards as (
    select
        version,
        {{ json_number('artefact', '$.scale.pdo') }} / ln(2) as factor,
        {{ json_number('artefact', '$.scale.base_score') }}
        - {{ json_number('artefact', '$.scale.pdo') }} / ln(2)
        * ln({{ json_number('artefact', '$.scale.base_odds') }}) as offset_points
    from model_runs
    where is_in_force
),

card_variables as (
    select count(distinct variable) as count_variables from card_points
),

{{ valued_points_ctes() }},

summed_points as (
    select
        customer_id,
        month_on,
        sum(points) as score,
        count(*) as count_variables
    from valued_points
    group by customer_id, month_on
),

-- a value that no row of the card or two rows fit would make another score: then there is none
scores as (
    select
        summed_points.customer_id,
        summed_points.month_on,
        summed_points.score,
        cards.version as model_version,
        1 / (1 + exp((summed_points.score - cards.offset_points) / cards.factor)) as pd_probability
    from summed_points
    cross join cards
    inner join card_variables
        on summed_points.count_variables = card_variables.count_variables
),

estimated as (
    select
        months.customer_id,
        months.month_on,
        months.state_on,
        months.is_active,
        months.is_in_default,
        months.default_rule_code,
        months.default_on,
        months.default_amount,
        months.roll_state,
        case
            when months.is_in_default then 'default'
            when not months.is_active then 'none'
            when scores.score is not null then 'scorecard'
            else 'roll_rate'
        end as model_basis,
        scores.score,
        scores.model_version,
        scores.pd_probability as scorecard_pd_probability,
        roll_rates.pd_probability as roll_rate_pd_probability
    from months
    left join scores
        on
            months.customer_id = scores.customer_id
            and months.month_on = scores.month_on
    left join roll_rates on months.roll_state = roll_rates.roll_state
),

rated as (
    select
        *,
        case
            when model_basis = 'default' then 1
            when model_basis = 'scorecard' then scorecard_pd_probability
            when model_basis = 'roll_rate' then roll_rate_pd_probability
        end as model_pd_probability
    from estimated
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
        graded.customer_id,
        graded.month_on,
        credit_overrides.grade as override_grade,
        credit_overrides.reviewer as override_reviewer,
        credit_overrides.reason_en as override_reason_en,
        credit_overrides.reason_zh as override_reason_zh,
        credit_overrides.decided_on as override_decided_on,
        credit_overrides.expires_on as override_expires_on
    from graded
    inner join credit_overrides
        on
            graded.customer_id = credit_overrides.customer_id
            and {{ is_in_force_on('credit_overrides', 'graded.state_on') }}
            and credit_overrides.decided_on <= graded.state_on
            and credit_overrides.expires_on > graded.state_on
    qualify row_number() over (
        partition by graded.customer_id, graded.month_on
        order by
            credit_overrides.decided_on desc, credit_overrides.valid_from desc,
            credit_overrides.grade, credit_overrides.reviewer
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
        graded.default_amount,
        graded.roll_state,
        case when graded.model_basis = 'scorecard' then cast(graded.score as integer) end as score,
        case when graded.model_basis = 'scorecard' then graded.model_version end as model_version,
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
