{{ config(materialized='view') }}

with final as (
    select
        parameter,
        value
    from {{ ref('clv_parameters') }}
    where {{ is_in_force() }}
)

select * from final
