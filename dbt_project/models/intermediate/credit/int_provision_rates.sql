-- depends_on: {{ ref('int_provision_rates_before') }}

with cells as (
    select * from {{ ref('int_provision_cells') }}
),

roll_rates as (
    select * from {{ ref('int_provision_roll_rates') }}
),

final as (
    select
        cells.month_on,
        cells.month_end_on,
        cells.provision_group,
        cells.bucket_code,
        cells.bucket_order,
        cells.is_lost,
        roll_rates.historical_loss_rate,
        roll_rates.rate_basis,
        roll_rates.count_moves,
        roll_rates.credibility_rate,
        cells.forward_looking_factor,
        cells.forward_looking_reason_en,
        cells.forward_looking_reason_zh,
        cells.floor_rate,
        -- eight decimals, so that a balance times the rate that is shown is the provision
        round(
            least(
                greatest(
                    roll_rates.historical_loss_rate * cells.forward_looking_factor,
                    cells.floor_rate
                ),
                1
            ), 8
        ) as applied_rate
    from cells
    inner join roll_rates
        on
            cells.month_on = roll_rates.month_on
            and cells.provision_group = roll_rates.provision_group
            and cells.bucket_code = roll_rates.bucket_code
)

select * from final
