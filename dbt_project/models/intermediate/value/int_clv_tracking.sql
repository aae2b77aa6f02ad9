with histories as (
    select * from {{ ref('int_clv_histories') }}
    where origin_no > 0
),

purchase_days as (
    select distinct
        customer_id,
        ordered_on
    from {{ ref('fct_orders') }}
    where not is_cancelled and exists (select 1 from histories)
),

tracked_days as (
    select
        histories.sale_type,
        histories.origin_no,
        {{ days_between('histories.origin_on', 'purchase_days.ordered_on') }} as days_since
    from histories
    inner join purchase_days on histories.customer_id = purchase_days.customer_id
    where
        purchase_days.ordered_on > histories.first_purchase_on
        and purchase_days.ordered_on
        <= {{ add_days('histories.origin_on', 'histories.holdout_days') }}
),

-- months of 30 days from the origin, those before it below zero
final as (
    select
        sale_type,
        origin_no,
        cast(floor(cast(days_since - 1 as double) / 30) + 1 as integer) as month_no,
        cast(count(*) as integer) as count_repeats
    from tracked_days
    group by sale_type, origin_no, floor(cast(days_since - 1 as double) / 30) + 1
)

select * from final
