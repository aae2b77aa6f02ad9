with open_deals as (
    select * from {{ ref('open_deals') }}
),

statuses as (
    select
        code,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'calibration_status' and {{ is_in_force() }}
),

pipeline_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters', ['interval_quantile'], area='pipeline'
    ) }}
),

cells as (
    select
        account_manager,
        stage,
        stage_label_en,
        stage_label_zh,
        {{ open_deal_sums() }},
        {{ mean_of('sum(age_days)', 'count(*)') }} as mean_age_days,
        max(age_days) as oldest_age_days,
        {{ mean_of('sum(days_in_stage)', 'count(days_in_stage)') }} as mean_days_in_stage,
        max(days_in_stage) as longest_days_in_stage,
        count(*) filter (where days_in_stage is null) as count_stage_entry_unknown,
        max(overdue_days) as longest_overdue_days,
        min(calibration_status) as first_status,
        max(calibration_status) as last_status
    from open_deals
    group by account_manager, stage, stage_label_en, stage_label_zh
),

judged_cells as (
    select
        cells.*,
        case
            when first_status = last_status then first_status
            else 'partly_known'
        end as calibration_status
    from cells
),

final as (
    select
        cells.account_manager,
        cells.stage,
        cells.stage_label_en,
        cells.stage_label_zh,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        cast(cells.count_open as integer) as count_open,
        cast(cells.count_without_value as integer) as count_without_value,
        cells.open_amount,
        {{ mean_of('cells.open_amount', 'sum(cells.open_amount) over ()') }} as share_of_open,
        cells.mean_age_days,
        cells.oldest_age_days,
        cells.mean_days_in_stage,
        cells.longest_days_in_stage,
        cast(cells.count_stage_entry_unknown as integer) as count_stage_entry_unknown,
        cast(cells.count_overdue as integer) as count_overdue,
        cells.overdue_amount,
        cells.longest_overdue_days,
        cast(cells.count_without_probability as integer) as count_without_probability,
        cast(cells.stated_forecast_amount as decimal(18, 2)) as stated_forecast_amount,
        cast(cells.calibrated_forecast_amount as decimal(18, 2)) as calibrated_forecast_amount,
        {{ forecast_bound('cells', '-') }} as calibrated_low_amount,
        {{ forecast_bound('cells', '+') }} as calibrated_high_amount,
        cells.calibration_status,
        statuses.label_en as calibration_status_label_en,
        statuses.label_zh as calibration_status_label_zh
    from judged_cells as cells
    cross join pipeline_rules
    left join statuses on cells.calibration_status = statuses.code
)

select * from final
