-- Why sales of a month differ from those of the same month a year before. Of a product with tonnes:
-- volume is what it would have brought had all tonnes grown alike, price what its tonnes brought
-- beyond its price of then, mix the rest: tonnes moved between dearer and cheaper products. Mix is
-- taken as what is left, so that the three add up to the cent. What nobody weighed stands apart:
-- its change is none of the three.
with orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled
),

order_lines as (
    select * from {{ ref('fct_order_lines') }}
    where not is_cancelled
),

products as (
    select * from {{ ref('dim_products') }}
),

-- what has no weight has no volume and no price: together one product without a name
sold_lines as (
    select
        orders.ordered_on,
        orders.order_month as month_on,
        case when order_lines.weight_tonnes > 0 then order_lines.product_id else '-' end
            as product_id,
        case when order_lines.weight_tonnes > 0 then order_lines.weight_tonnes end
            as weight_tonnes,
        case
            when order_lines.order_id is null then orders.revenue_amount
            else order_lines.revenue_amount
        end as revenue_amount
    from orders
    left join order_lines on orders.order_id = order_lines.order_id
),

book as (
    select min(month_on) as first_month_on
    from sold_lines
),

product_months as (
    select
        product_id,
        month_on,
        sum(weight_tonnes) as weight_tonnes,
        sum(revenue_amount) as revenue_amount
    from sold_lines
    group by product_id, month_on
),

-- the running month is compared with as many days of the year before
base_months as (
    select
        product_id,
        {{ add_months('month_on', 12) }} as month_on,
        sum(weight_tonnes) as weight_tonnes,
        sum(revenue_amount) as revenue_amount
    from sold_lines
    where
        {{ add_months('month_on', 12) }} < {{ month_start(as_of_date()) }}
        or (
            {{ add_months('month_on', 12) }} = {{ month_start(as_of_date()) }}
            and (
                {{ state_on(month_start(as_of_date())) }}
                = {{ add_days(add_months(month_start(as_of_date()), 1), -1) }}
                or ordered_on <= {{ add_months(as_of_date(), -12) }}
            )
        )
    group by product_id, {{ add_months('month_on', 12) }}
),

compared_products as (
    select
        coalesce(product_months.product_id, base_months.product_id) as product_id,
        coalesce(product_months.month_on, base_months.month_on) as month_on,
        coalesce(product_months.revenue_amount, 0) as revenue_amount,
        coalesce(base_months.revenue_amount, 0) as base_revenue_amount,
        product_months.weight_tonnes,
        base_months.weight_tonnes as base_weight_tonnes
    from product_months
    full outer join base_months
        on
            product_months.product_id = base_months.product_id
            and product_months.month_on = base_months.month_on
),

book_months as (
    select
        month_on,
        sum(weight_tonnes) as weight_tonnes,
        sum(base_weight_tonnes) as base_weight_tonnes
    from compared_products
    group by month_on
),

measured_products as (
    select
        compared_products.*,
        compared_products.month_on >= {{ add_months('book.first_month_on', 12) }} as has_base,
        coalesce(book_months.weight_tonnes, 0) as book_tonnes,
        book_months.base_weight_tonnes as book_base_tonnes,
        -- a book of which no tonne is known has effects, but nobody knows which
        coalesce(book_months.weight_tonnes, 0) + coalesce(book_months.base_weight_tonnes, 0) > 0
            as has_tonnes,
        case
            when compared_products.product_id = '-'
                then compared_products.revenue_amount - compared_products.base_revenue_amount
            else 0
        end as unweighed_amount
    from compared_products
    inner join book_months on compared_products.month_on = book_months.month_on
    cross join book
),

-- decimals divide as doubles: four decimals of a cent bring an exact half back before it is rounded
parts as (
    select
        measured_products.*,
        case
            when has_base and weight_tonnes > 0 and base_weight_tonnes > 0
                then revenue_amount - {{ to_amount(
                    'cast(cast(base_revenue_amount as double) * cast(weight_tonnes as double) '
                    ~ '/ cast(base_weight_tonnes as double) as decimal(28, 6))'
                ) }}
            when has_base and has_tonnes then 0
        end as price_effect_amount,
        case
            when has_base and base_weight_tonnes > 0
                then {{ to_amount(
                    'cast(cast(base_revenue_amount as double) * cast(book_tonnes as double) '
                    ~ '/ cast(book_base_tonnes as double) as decimal(28, 6))'
                ) }} - base_revenue_amount
            when has_base and has_tonnes then 0
        end as volume_effect_amount
    from measured_products
),

final as (
    select
        parts.month_on,
        parts.product_id,
        products.product_name,
        products.category,
        {{ state_on('parts.month_on') }} as state_on,
        {{ reporting_currency() }} as currency,
        cast(parts.revenue_amount as decimal(18, 2)) as revenue_amount,
        case when parts.has_base then cast(parts.base_revenue_amount as decimal(18, 2)) end
            as base_revenue_amount,
        case
            when parts.has_base
                then cast(parts.revenue_amount - parts.base_revenue_amount as decimal(18, 2))
        end as revenue_change_amount,
        cast(parts.weight_tonnes as decimal(18, 4)) as weight_tonnes,
        cast(parts.base_weight_tonnes as decimal(18, 4)) as base_weight_tonnes,
        {{ mean_of('parts.revenue_amount', 'parts.weight_tonnes') }} as price_per_tonne,
        {{ mean_of('parts.base_revenue_amount', 'parts.base_weight_tonnes') }}
            as base_price_per_tonne,
        cast(parts.price_effect_amount as decimal(18, 2)) as price_effect_amount,
        cast(parts.volume_effect_amount as decimal(18, 2)) as volume_effect_amount,
        cast(
            parts.revenue_amount - parts.base_revenue_amount - parts.unweighed_amount
            - parts.price_effect_amount - parts.volume_effect_amount as decimal(18, 2)
        ) as mix_effect_amount,
        case when parts.has_base then cast(parts.unweighed_amount as decimal(18, 2)) end
            as unweighed_effect_amount,
        case
            when not parts.has_base then 'none_yet'
            when parts.product_id = '-' then 'no_weight'
            when parts.base_weight_tonnes is null then 'new'
            when parts.weight_tonnes is null then 'ended'
            else 'both'
        end as comparison
    from parts
    left join products on parts.product_id = products.product_id
)

select * from final
