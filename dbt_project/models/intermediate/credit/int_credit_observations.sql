{{ config(materialized='view') }}

-- Only outcomes whose months have all passed, of customers that were not in default already. A
-- customer is observed every few months, counted back from the last month with an outcome.
with months as (
    select * from {{ ref('int_credit_months') }}
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

last_months as (
    select max(month_on) as last_month_on
    from months
    where is_default_ahead is not null
),

final as (
    select
        months.customer_id,
        cast({{ months_between('last_months.last_month_on', 'months.month_on') }} as integer)
            as month_no,
        {%- for name in credit_numbers() + credit_levels() %}
            months.{{ name }},
        {%- endfor %}
        months.is_default_ahead as is_default
    from months
    cross join parameters
    cross join last_months
    where
        months.is_default_ahead is not null
        and months.is_active
        and not months.is_in_default
        and months.history_months >= parameters.history_months_at_least
        and mod(
            {{ months_between('months.month_on', 'last_months.last_month_on') }},
            parameters.every_months
        ) = 0
)

select * from final
