{{ config(materialized='view') }}

with final as (
    select
        from_state,
        from_order,
        to_state,
        to_order,
        rate
    from {{ ref('credit_roll_rate_priors') }}
    where {{ is_in_force() }}
)

select * from final
