{{ config(materialized='view') }}

with final as (
    select
        code,
        risk_direction
    from {{ ref('credit_reason_texts') }}
    where {{ is_in_force() }} and risk_direction is not null
)

select * from final
