-- Market prices that moved against an industry as of the date.
with market_prices as (
    select * from {{ ref('stg_landing__market_prices') }}
    where price_on <= {{ as_of_date() }}
),

price_shocks as (
    select * from {{ ref('credit_price_shocks') }}
    where {{ is_in_force() }}
),

-- the price that stood when the window began
base_prices as (
    select
        price_shocks.industry,
        price_shocks.price_code,
        price_shocks.direction,
        market_prices.market_price as base_price
    from price_shocks
    inner join market_prices
        on
            price_shocks.price_code = market_prices.price_code
            and market_prices.price_on
            <= {{ add_days(as_of_date(), '-price_shocks.window_days') }}
    qualify row_number() over (
        partition by price_shocks.industry, price_shocks.price_code, price_shocks.direction
        order by market_prices.price_on desc
    ) = 1
),

moves as (
    select
        price_shocks.*,
        market_prices.category,
        market_prices.price_on,
        {{ mean_of(
            '(market_prices.market_price - base_prices.base_price)', 'base_prices.base_price'
        ) }} as change_rate,
        row_number() over (
            partition by price_shocks.industry, price_shocks.price_code, price_shocks.direction
            order by market_prices.price_on desc
        ) as day_no
    from price_shocks
    inner join base_prices
        on
            price_shocks.industry = base_prices.industry
            and price_shocks.price_code = base_prices.price_code
            and price_shocks.direction = base_prices.direction
    inner join market_prices
        on
            price_shocks.price_code = market_prices.price_code
            and market_prices.price_on
            > {{ add_days(as_of_date(), '-price_shocks.window_days') }}
),

final as (
    select
        industry,
        price_code,
        direction,
        max(category) filter (where day_no = 1) as category,
        max(window_days) as window_days,
        max(label_en) as label_en,
        max(label_zh) as label_zh,
        max(reason_en) as reason_en,
        max(reason_zh) as reason_zh,
        max(price_on) as price_on,
        max(change_rate) filter (where day_no = 1) as change_rate,
        -- the first day of the window on which the price had moved as far
        min(price_on) filter (
            where case when direction = 'rise' then 1 else -1 end * change_rate >= threshold_rate
        ) as since_on
    from moves
    group by industry, price_code, direction, threshold_rate
    having
        case when direction = 'rise' then 1 else -1 end
        * max(change_rate) filter (where day_no = 1) >= threshold_rate
)

select * from final
