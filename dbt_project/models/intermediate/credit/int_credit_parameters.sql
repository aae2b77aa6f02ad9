{{ config(materialized='view') }}

with final as (
    select
        parameter,
        value
    from {{ ref('credit_scorecard_parameters') }}
    where {{ is_in_force() }}
    union all
    select
        'horizon_months' as parameter,
        cast(max(horizon_months) as double) as value
    from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
)

select * from final
