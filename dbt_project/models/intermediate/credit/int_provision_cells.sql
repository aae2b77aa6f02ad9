-- What the parameters in force at the end of each month say of each group and bucket.
with book as (
    select min(month_on) as first_month_on
    from {{ ref('int_bucket_transitions') }}
),

month_starts as (
    select
        cast(
            {{ explode_months('first_month_on', month_start(as_of_date())) }} as date
        ) as month_on
    from book
),

months as (
    select
        month_on,
        {{ state_on('month_on') }} as month_end_on
    from month_starts
),

provision_buckets as (
    select * from {{ ref('provision_buckets') }}
),

provision_groups as (
    select distinct
        provision_group,
        valid_from,
        valid_to
    from {{ ref('provision_groups') }}
),

provision_rates as (
    select * from {{ ref('provision_rates') }}
),

forward_looking_factors as (
    select * from {{ ref('forward_looking_factors') }}
),

provision_rules as (
    select * from {{ ref('provision_rules') }}
),

cells as (
    select distinct
        months.month_on,
        months.month_end_on,
        -- a month that is not over shows fewer moves than it will have: it is no evidence yet
        case
            when months.month_end_on = {{ add_days(add_months('months.month_on', 1), -1) }}
                then months.month_on
            else {{ month_before('months.month_on') }}
        end as last_month_on,
        provision_groups.provision_group,
        provision_buckets.bucket_code,
        provision_buckets.bucket_order,
        provision_buckets.is_lost
    from months
    inner join provision_groups
        on {{ is_in_force_on('provision_groups', 'months.month_end_on') }}
    inner join provision_buckets
        on {{ is_in_force_on('provision_buckets', 'months.month_end_on') }}
),

rated_cells as (
    select
        cells.*,
        provision_rates.loss_rate as seed_loss_rate,
        provision_rates.floor_rate
    from cells
    inner join provision_rates
        on
            cells.bucket_code = provision_rates.bucket_code
            and provision_rates.provision_group in (cells.provision_group, 'any')
            and {{ is_in_force_on('provision_rates', 'cells.month_end_on') }}
    qualify row_number() over (
        partition by cells.month_on, cells.provision_group, cells.bucket_code
        order by provision_rates.provision_group = 'any'
    ) = 1
),

final as (
    select
        rated_cells.*,
        forward_looking_factors.factor as forward_looking_factor,
        forward_looking_factors.reason_en as forward_looking_reason_en,
        forward_looking_factors.reason_zh as forward_looking_reason_zh,
        provision_rules.window_months,
        provision_rules.min_moves,
        provision_rules.prior_moves
    from rated_cells
    inner join forward_looking_factors
        on
            forward_looking_factors.provision_group in (rated_cells.provision_group, 'any')
            and {{ is_in_force_on('forward_looking_factors', 'rated_cells.month_end_on') }}
    inner join provision_rules
        on {{ is_in_force_on('provision_rules', 'rated_cells.month_end_on') }}
    qualify row_number() over (
        partition by rated_cells.month_on, rated_cells.provision_group, rated_cells.bucket_code
        order by forward_looking_factors.provision_group = 'any'
    ) = 1
)

select * from final
