{%- set dates_of_facts = {
    'fct_orders': 'ordered_on',
    'fct_invoices': 'invoiced_on',
    'fct_payments': 'received_on',
    'fct_deliveries': 'delivered_on',
    'fct_survey_responses': 'answered_on',
    'fct_complaints': 'opened_on',
    'fct_interactions': 'occurred_on',
    'fct_opportunities': 'opened_on',
    'fct_customer_costs': 'incurred_on',
} -%}

with run_context as (
    select * from {{ ref('stg_landing__run_context') }}
),

business_calendar as (
    select business_calendar.*
    from {{ ref('business_calendar') }} as business_calendar
    inner join run_context on business_calendar.calendar = run_context.calendar
),

first_dates as (
    {% for fact, date_column in dates_of_facts.items() -%}
        select min({{ date_column }}) as first_on from {{ ref(fact) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

bounds as (
    select
        {{ year_start('coalesce(min(first_dates.first_on), max(run_context.as_of))') }}
            as first_day,
        {{ add_days(
            add_months(year_start('max(run_context.as_of)'), 12), -1
        ) }} as last_day
    from run_context
    left join first_dates on true
),

days as (
    select cast(exploded.date_on as date) as date_on
    from (
        select {{ explode_days('first_day', 'last_day') }} as date_on
        from bounds
    ) as exploded
),

-- a neighbour's notice reaches over New Year, its own gives days off in between as well
announced_years as (
    select distinct extract(year from business_calendar.day) as calendar_year
    from business_calendar
    where
        business_calendar.kind = 'holiday'
        and extract(month from business_calendar.day) not in (1, 12)
),

dated_days as (
    select
        days.date_on,
        {{ week_start('days.date_on') }} as week_on,
        {{ days_between(week_start('days.date_on'), 'days.date_on') }} + 1 as day_of_week,
        coalesce(business_calendar.kind = 'holiday', false) as is_holiday,
        coalesce(business_calendar.kind = 'workday', false) as is_makeup_workday,
        case when business_calendar.kind = 'holiday' then business_calendar.name_en end
            as holiday_name_en,
        case when business_calendar.kind = 'holiday' then business_calendar.name_zh end
            as holiday_name_zh,
        -- plain weekends need no notice
        coalesce(run_context.calendar = 'weekends', false)
        or announced_years.calendar_year is not null as is_calendar_known
    from days
    cross join run_context
    left join business_calendar on days.date_on = business_calendar.day
    left join announced_years
        on extract(year from days.date_on) = announced_years.calendar_year
),

business_days as (
    select
        *,
        day_of_week in (6, 7) as is_weekend,
        is_makeup_workday or (day_of_week not in (6, 7) and not is_holiday) as is_business_day
    from dated_days
),

final as (
    select
        date_on,
        cast(extract(year from date_on) as integer) as year,
        cast(extract(quarter from date_on) as integer) as quarter_of_year,
        cast(extract(month from date_on) as integer) as month_of_year,
        {{ quarter_start('date_on') }} as quarter_on,
        {{ month_start('date_on') }} as month_on,
        week_on,
        cast(extract(week from date_on) as integer) as iso_week,
        cast(day_of_week as integer) as day_of_week,
        is_weekend,
        is_holiday,
        is_makeup_workday,
        holiday_name_en,
        holiday_name_zh,
        is_business_day,
        is_calendar_known,
        cast(
            sum(case when is_business_day then 1 else 0 end) over (
                partition by {{ month_start('date_on') }}
                order by date_on
                rows between unbounded preceding and current row
            ) as integer
        ) as business_day_of_month
    from business_days
)

select * from final
