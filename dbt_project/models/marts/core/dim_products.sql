with products as (
    select * from {{ ref('stg_landing__products') }}
),

seen_products as (
    select distinct product_id
    from {{ ref('fct_order_lines') }}
    where product_id is not null
),

final as (
    select
        coalesce(products.product_id, seen_products.product_id) as product_id,
        -- a product without a name in the feed goes by its id
        coalesce(products.product_name, products.product_id, seen_products.product_id)
            as product_name,
        products.category,
        products.unit,
        products.tonnes_per_unit,
        products.product_id is null as is_derived
    from products
    full outer join seen_products on products.product_id = seen_products.product_id
)

select * from final
