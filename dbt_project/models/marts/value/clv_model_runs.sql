with model_runs as (
    select * from {{ ref('int_clv_model_runs') }}
),

texts as (
    select * from {{ ref('clv_texts') }}
    where {{ is_in_force() }}
),

told_runs as (
    select
        *,
        {{ json_text('artefact', '$.candidate') }} as purchase_model,
        {{ json_text('artefact', '$.basis') }} as margin_model
    from model_runs
),

final as (
    select
        told_runs.model,
        told_runs.version,
        told_runs.fitted_as_of,
        told_runs.release_id,
        told_runs.release_sequence,
        told_runs.is_promoted,
        told_runs.fit_status,
        told_runs.verdict_en,
        told_runs.verdict_zh,
        told_runs.artefact,
        told_runs.measures,
        told_runs.is_in_force,
        told_runs.is_scoring,
        case when told_runs.model like '%contract' then 'contract' else 'spot' end as sale_type,
        {{ reporting_currency() }} as currency,
        coalesce(told_runs.purchase_model, told_runs.margin_model) as candidate,
        candidate_texts.label_en as candidate_label_en,
        candidate_texts.label_zh as candidate_label_zh,
        status_texts.label_en as fit_status_label_en,
        status_texts.label_zh as fit_status_label_zh,
        {{ json_count('told_runs.measures', '$.customers') }} as count_customers,
        {{ json_count('told_runs.measures', '$.repeat_buyers') }} as count_repeat_buyers,
        {{ json_count('told_runs.measures', '$.purchases') }} as count_repeat_purchases,
        {{ json_count('told_runs.measures', '$.not_above_zero') }} as count_margins_not_above_zero,
        {{ json_number('told_runs.measures', '$.frequency_value_correlation') }}
            as frequency_value_correlation,
        {{ json_count('told_runs.measures', '$.origins') }} as count_origins,
        {{ json_number('told_runs.measures', '$.bias') }} as bias_rate,
        {{ json_number('told_runs.measures', '$.mae') }} as mae,
        {{ json_number('told_runs.measures', '$.naive_rate_mae') }} as naive_rate_mae,
        {{ json_number('told_runs.measures', '$.naive_silence_mae') }} as naive_silence_mae
    from told_runs
    left join texts as candidate_texts
        on
            candidate_texts.dimension in ('purchase_model', 'margin_model', 'renewal_model')
            and coalesce(told_runs.purchase_model, told_runs.margin_model) = candidate_texts.code
    inner join texts as status_texts
        on
            status_texts.dimension = 'fit_status'
            and told_runs.fit_status = status_texts.code
)

select * from final
