with open_deals as (
    select * from {{ ref('open_deals') }}
),

pipeline_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters', ['interval_quantile'], area='pipeline'
    ) }}
),

-- the book is told beside its managers: intervals do not add up
member_deals as (
    select
        *,
        'account_manager' as dimension,
        account_manager as member
    from open_deals
    union all
    select
        *,
        'book' as dimension,
        'all' as member
    from open_deals
),

months as (
    select
        dimension,
        member,
        expected_month_on,
        {{ open_deal_sums() }}
    from member_deals
    group by dimension, member, expected_month_on
),

final as (
    select
        months.dimension,
        months.member,
        months.expected_month_on,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        cast(months.count_open as integer) as count_open,
        cast(months.count_without_value as integer) as count_without_value,
        months.open_amount,
        cast(months.count_overdue as integer) as count_overdue,
        months.overdue_amount,
        cast(months.count_without_probability as integer) as count_without_probability,
        cast(months.stated_forecast_amount as decimal(18, 2)) as stated_forecast_amount,
        cast(months.calibrated_forecast_amount as decimal(18, 2)) as calibrated_forecast_amount,
        {{ forecast_bound('months', '-') }} as calibrated_low_amount,
        {{ forecast_bound('months', '+') }} as calibrated_high_amount
    from months
    cross join pipeline_rules
)

select * from final
