{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_changed_months_of_customers(credit_scores_rebuilt_when()) }}",
        "{{ delete_months_from(first_running_month()) }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_credit_model_runs') }}
-- depends_on: {{ ref('stg_landing__run_context') }}
-- depends_on: {{ ref('credit_default_rules') }}
-- depends_on: {{ ref('credit_scorecard_parameters') }}

{%- set is_partial = (
    is_incremental() and not run_asks_for_rebuild(credit_scores_rebuilt_when())
) %}

-- Every month end by the scorecard that is in force on the as-of date, so that two months differ by
-- what the customer did and never by the scorecard. A month that stands keeps its points.
with months_to_score as (
    {{ rows_of_months_again(
        ref('int_credit_months'), 'month_on', first_running_month(), is_partial
    ) }}
),

-- who is in default has no score, nor who has nothing to pay
months as (
    select * from months_to_score
    where is_active and not is_in_default
),

card_points as (
    select * from {{ ref('int_credit_card_points') }}
),

model_runs as (
    select * from {{ ref('int_credit_model_runs') }}
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

final as (
    select
        months_to_score.customer_id,
        months_to_score.month_on,
        months_to_score.state_on,
        months_to_score.is_in_default,
        months_to_score.default_rule_code,
        months_to_score.default_on,
        months_to_score.in_default_since_on,
        months_to_score.default_amount,
        months_to_score.roll_state,
        case
            when months_to_score.is_in_default then 'default'
            when not months_to_score.is_active then 'none'
            when scores.score is not null then 'scorecard'
            else 'roll_rate'
        end as model_basis,
        cast(scores.score as integer) as score,
        scores.model_version,
        scores.pd_probability as scorecard_pd_probability
    from months_to_score
    left join scores
        on
            months_to_score.customer_id = scores.customer_id
            and months_to_score.month_on = scores.month_on
)

select * from final
