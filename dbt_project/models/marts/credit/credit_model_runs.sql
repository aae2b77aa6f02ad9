with model_runs as (
    select * from {{ ref('int_credit_model_runs') }}
),

final as (
    select
        model,
        version,
        fitted_as_of,
        release_id,
        release_sequence,
        is_promoted,
        fit_status,
        verdict_en,
        verdict_zh,
        artefact,
        measures,
        is_in_force,
        {{ json_count('measures', '$.fit_rows') }} as count_fit_rows,
        {{ json_count('measures', '$.fit_defaults') }} as count_fit_defaults,
        {{ json_count('measures', '$.fit_customers_defaulted') }} as count_fit_customers_defaulted,
        {{ json_count('measures', '$.observation_months') }} as count_observation_months,
        {{ json_count('measures', '$.holdout_rows') }} as count_holdout_rows,
        {{ json_count('measures', '$.holdout_defaults') }} as count_holdout_defaults,
        {{ json_number('measures', '$.calibration_slope') }} as calibration_slope,
        {{ json_number('measures', '$.auc') }} as auc_rate,
        {{ json_number('measures', '$.auc_standard_error') }} as auc_standard_error,
        {{ json_number('measures', '$.gini') }} as gini,
        {{ json_number('measures', '$.ks') }} as ks,
        {{ json_number('measures', '$.psi') }} as psi,
        {{ json_number('measures', '$.brier') }} as brier,
        {{ json_number('measures', '$.spiegelhalter_z') }} as spiegelhalter_z,
        {{ json_number('measures', '$.expected_defaults') }} as expected_defaults,
        {{ json_number('measures', '$.expected_to_observed') }} as expected_to_observed,
        {{ json_text('measures', '$.champion_version') }} as champion_version,
        {{ json_number('measures', '$.champion_auc') }} as champion_auc_rate,
        {{ json_number('measures', '$.auc_gain') }} as auc_gain,
        {{ json_count('measures', '$.out_of_time_rows') }} as count_out_of_time_rows,
        {{ json_count('measures', '$.out_of_time_defaults') }} as count_out_of_time_defaults,
        {{ json_number('measures', '$.out_of_time_auc') }} as out_of_time_auc_rate
    from model_runs
)

select * from final
