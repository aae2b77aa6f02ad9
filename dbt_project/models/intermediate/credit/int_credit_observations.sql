{{ config(materialized='view') }}

-- Only outcomes whose months have all passed, of customers that were not in default already. A
-- customer is observed every few months, counted back from the last month with an outcome. Here
-- alone a month is told what came after it.
with months as (
    select * from {{ ref('int_credit_months') }}
),

defaults as (
    select * from {{ ref('int_credit_defaults') }}
),

default_rules as (
    select max(horizon_months) as horizon_months
    from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
),

parameters as (
    select
        cast(max(value) filter (where parameter = 'observation_every_months') as integer)
            as every_months,
        cast(max(value) filter (where parameter = 'history_months_at_least') as integer)
            as history_months_at_least
    from {{ ref('credit_scorecard_parameters') }}
    where {{ is_in_force() }}
),

months_passed as (
    select months.*
    from months
    cross join default_rules
    where
        {{ add_days(add_months('months.month_on', 'default_rules.horizon_months + 1'), -1) }}
        <= {{ as_of_date() }}
),

last_months as (
    select max(month_on) as last_month_on from months_passed
),

-- the month of a default and what follows say nothing of it
months_ahead_of_default as (
    select distinct
        defaults.customer_id,
        cast(
            {{ explode_months(
                add_months(month_start('defaults.default_on'), '-default_rules.horizon_months'),
                month_before(month_start('defaults.default_on'))
            ) }} as date
        ) as month_on
    from defaults
    cross join default_rules
),

final as (
    select
        months_passed.customer_id,
        cast(
            {{ months_between('last_months.last_month_on', 'months_passed.month_on') }} as integer
        ) as month_no,
        {%- for name in credit_numbers() + credit_levels() %}
            months_passed.{{ name }},
        {%- endfor %}
        months_ahead_of_default.customer_id is not null as is_default
    from months_passed
    cross join parameters
    cross join last_months
    left join months_ahead_of_default
        on
            months_passed.customer_id = months_ahead_of_default.customer_id
            and months_passed.month_on = months_ahead_of_default.month_on
    where
        months_passed.is_active
        and not months_passed.is_in_default
        and months_passed.history_months >= parameters.history_months_at_least
        and mod(
            {{ months_between('months_passed.month_on', 'last_months.last_month_on') }},
            parameters.every_months
        ) = 0
)

select * from final
