with customer_products as (
    select
        customer_id,
        product_id,
        peer_group
    from {{ ref('customer_products') }}
),

affinity_rules as (
    select * from {{ ref('affinity_rules') }}
    where {{ is_in_force() }}
),

-- every customer counts in the whole book and, where it is large enough, in its industry
group_sizes as (
    select
        peer_group,
        count(distinct customer_id) as count_customers
    from customer_products
    where peer_group <> 'all'
    group by peer_group
    union all
    select
        'all' as peer_group,
        count(distinct customer_id) as count_customers
    from customer_products
),

book_products as (
    select
        product_id,
        count(*) as count_customers,
        row_number() over (order by product_id) as product_no
    from customer_products
    group by product_id
),

-- rare products leave before the join of pairs: none of their pairs could reach the least count
kept_products as (
    select
        book_products.product_id,
        book_products.product_no,
        book_products.count_customers
    from book_products
    inner join affinity_rules
        on book_products.count_customers >= affinity_rules.min_customers_product
),

baskets as (
    select
        customer_products.customer_id,
        customer_products.peer_group,
        kept_products.product_no
    from customer_products
    inner join kept_products on customer_products.product_id = kept_products.product_id
),

group_products as (
    select
        peer_group,
        product_no,
        count(*) as count_customers
    from baskets
    where peer_group <> 'all'
    group by peer_group, product_no
    union all
    select
        'all' as peer_group,
        product_no,
        count_customers
    from kept_products
),

-- once per pair; numbers join faster than texts
basket_pairs as (
    select
        baskets.peer_group,
        baskets.product_no,
        other_baskets.product_no as other_product_no,
        count(*) as count_customers
    from baskets
    inner join baskets as other_baskets
        on
            baskets.customer_id = other_baskets.customer_id
            and baskets.product_no < other_baskets.product_no
    group by baskets.peer_group, baskets.product_no, other_baskets.product_no
),

group_pairs as (
    select
        peer_group,
        product_no,
        other_product_no,
        count_customers
    from basket_pairs
    where peer_group <> 'all'
    union all
    select
        'all' as peer_group,
        product_no,
        other_product_no,
        sum(count_customers) as count_customers
    from basket_pairs
    group by product_no, other_product_no
),

frequent_pairs as (
    select group_pairs.*
    from group_pairs
    inner join affinity_rules
        on group_pairs.count_customers >= affinity_rules.min_customers_both
),

directed_pairs as (
    select
        peer_group,
        product_no,
        other_product_no,
        count_customers
    from frequent_pairs
    union all
    select
        peer_group,
        other_product_no as product_no,
        product_no as other_product_no,
        count_customers
    from frequent_pairs
),

counted_pairs as (
    select
        directed_pairs.peer_group,
        directed_pairs.product_no,
        directed_pairs.other_product_no,
        group_sizes.count_customers,
        own_products.count_customers as count_customers_product,
        other_products.count_customers as count_customers_other,
        cast(directed_pairs.count_customers as bigint) as count_customers_both
    from directed_pairs
    inner join group_sizes on directed_pairs.peer_group = group_sizes.peer_group
    inner join group_products as own_products
        on
            directed_pairs.peer_group = own_products.peer_group
            and directed_pairs.product_no = own_products.product_no
    inner join group_products as other_products
        on
            directed_pairs.peer_group = other_products.peer_group
            and directed_pairs.other_product_no = other_products.product_no
),

-- by multiplying and not dividing: a rule on the limit must not miss it by a bit
rules as (
    select
        counted_pairs.*,
        affinity_rules.normal_quantile
    from counted_pairs
    inner join affinity_rules
        on
            counted_pairs.count_customers_product >= affinity_rules.min_customers_product
            and counted_pairs.count_customers_other >= affinity_rules.min_customers_product
            and counted_pairs.count_customers_both
            >= affinity_rules.min_confidence * counted_pairs.count_customers_product
            and counted_pairs.count_customers_both * counted_pairs.count_customers
            >= affinity_rules.min_lift
            * (counted_pairs.count_customers_product * counted_pairs.count_customers_other)
),

-- who belongs to no large industry makes one group more
industry_sizes as (
    select
        peer_group,
        count(distinct customer_id) as count_customers
    from customer_products
    group by peer_group
),

industry_products as (
    select
        baskets.peer_group,
        baskets.product_no,
        industry_sizes.count_customers,
        count(*) as count_buyers
    from baskets
    inner join industry_sizes on baskets.peer_group = industry_sizes.peer_group
    group by baskets.peer_group, baskets.product_no, industry_sizes.count_customers
),

-- how many would buy both if within each industry the one told nothing of the other; in decimals,
-- as the sum must not depend on its order
expected_pairs as (
    select
        rules.product_no,
        rules.other_product_no,
        sum(cast(
            own_products.count_buyers * other_products.count_buyers
            / cast(own_products.count_customers as double) as decimal(28, 10)
        )) as count_expected
    from rules
    inner join industry_products as own_products on rules.product_no = own_products.product_no
    inner join industry_products as other_products
        on
            rules.other_product_no = other_products.product_no
            and own_products.peer_group = other_products.peer_group
    where rules.peer_group = 'all'
    group by rules.product_no, rules.other_product_no
),

measured_rules as (
    select
        rules.*,
        expected_pairs.count_expected,
        {{ mean_of('rules.count_customers_other', 'rules.count_customers') }} as penetration_rate,
        {{ wilson_low(
            'rules.count_customers_both', 'rules.count_customers_product', 'rules.normal_quantile'
        ) }} as confidence_rate_low
    from rules
    left join expected_pairs
        on
            rules.peer_group = 'all'
            and rules.product_no = expected_pairs.product_no
            and rules.other_product_no = expected_pairs.other_product_no
),

final as (
    select
        rules.peer_group,
        own_products.product_id,
        other_products.product_id as other_product_id,
        {{ as_of_date() }} as as_of,
        cast(rules.count_customers as integer) as count_customers,
        cast(rules.count_customers_product as integer) as count_customers_product,
        cast(rules.count_customers_other as integer) as count_customers_other,
        cast(rules.count_customers_both as integer) as count_customers_both,
        {{ mean_of('rules.count_customers_both', 'rules.count_customers') }} as support_rate,
        rules.penetration_rate,
        {{ mean_of('rules.count_customers_both', 'rules.count_customers_product') }}
            as confidence_rate,
        rules.confidence_rate_low,
        {{ mean_of(
            'rules.count_customers_both * rules.count_customers',
            'rules.count_customers_product * rules.count_customers_other',
        ) }} as lift,
        case
            when rules.peer_group = 'all'
                then {{ mean_of('rules.count_customers_both', 'rules.count_expected') }}
        end as lift_within_industries,
        rules.confidence_rate_low > rules.penetration_rate as is_significant
    from measured_rules as rules
    inner join book_products as own_products on rules.product_no = own_products.product_no
    inner join book_products as other_products on rules.other_product_no = other_products.product_no
)

select * from final
