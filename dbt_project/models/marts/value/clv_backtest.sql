{%- set shared = {
    'candidate': 'varchar', 'origin_on': 'date', 'holdout_days': 'integer',
    'customers': 'integer', 'actual': 'double',
} %}

with model_runs as (
    select * from {{ ref('int_clv_model_runs') }}
),

candidate_texts as (
    select * from {{ ref('clv_texts') }}
    where
        dimension in ('purchase_model', 'margin_model', 'renewal_model')
        and {{ is_in_force() }}
),

tests as (
    select
        model,
        version,
        release_sequence,
        fitted_as_of,
        is_scoring,
        {{ json_text('measures', '$.candidate') }} as chosen_candidate,
        {{ json_rows('measures', '$.tests', dict(
            shared, bias='double', mae='double', rmse='double', spearman='double', gini='double'
        )) }} as found
    from model_runs
),

curves as (
    select
        model,
        version,
        release_sequence,
        fitted_as_of,
        is_scoring,
        {{ json_text('measures', '$.candidate') }} as chosen_candidate,
        {{ json_rows('measures', '$.curves', dict(
            shared, curve='varchar', point='integer', forecast='double'
        )) }} as found
    from model_runs
),

all_points as (
    select
        model,
        version,
        release_sequence,
        fitted_as_of,
        is_scoring,
        chosen_candidate,
        found.candidate,
        found.origin_on,
        found.holdout_days,
        'measures' as curve,
        0 as point_no,
        found.customers as count_customers,
        found.actual,
        found.actual * (1 + found.bias) as forecast,
        found.bias as bias_rate,
        found.mae,
        found.rmse,
        found.spearman,
        found.gini
    from tests
    union all
    select
        model,
        version,
        release_sequence,
        fitted_as_of,
        is_scoring,
        chosen_candidate,
        found.candidate,
        found.origin_on,
        found.holdout_days,
        found.curve,
        found.point as point_no,
        found.customers as count_customers,
        found.actual,
        found.forecast,
        cast(null as double) as bias_rate,
        cast(null as double) as mae,
        cast(null as double) as rmse,
        cast(null as double) as spearman,
        cast(null as double) as gini
    from curves
),

final as (
    select
        all_points.model,
        all_points.version as model_version,
        all_points.release_sequence,
        all_points.candidate,
        all_points.origin_on,
        all_points.curve,
        all_points.point_no,
        all_points.fitted_as_of,
        all_points.is_scoring,
        {{ reporting_currency() }} as currency,
        candidate_texts.label_en as candidate_label_en,
        candidate_texts.label_zh as candidate_label_zh,
        all_points.candidate = all_points.chosen_candidate as is_challenger,
        all_points.holdout_days,
        all_points.count_customers,
        all_points.forecast,
        all_points.actual,
        all_points.bias_rate,
        all_points.mae,
        all_points.rmse,
        all_points.spearman,
        all_points.gini
    from all_points
    inner join candidate_texts on all_points.candidate = candidate_texts.code
)

select * from final
