-- One customer's late payment changes the rates of all others from its month on.
with rates_before as (
    select * from {{ ref('int_provision_rates_before') }}
),

rates as (
    select
        month_on,
        provision_group,
        bucket_code,
        applied_rate
    from {{ ref('int_provision_rates') }}
),

rates_gone as (
    select * from rates_before
    except
    select * from rates
),

rates_come as (
    select * from rates
    except
    select * from rates_before
),

first_changes as (
    select min(month_on) as first_month_on from rates_gone
    union all
    select min(month_on) as first_month_on from rates_come
    union all
    select {{ first_running_month() }} as first_month_on
)

select min(first_month_on) as first_month_on from first_changes
