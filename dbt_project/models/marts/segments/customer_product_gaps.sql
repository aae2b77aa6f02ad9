with customer_products as (
    select
        customer_id,
        product_id,
        peer_group,
        last_ordered_on,
        revenue_amount,
        revenue_share
    from {{ ref('customer_products') }}
),

-- what may be chance is no advice
product_affinity as (
    select * from {{ ref('product_affinity') }}
    where is_significant
),

products as (
    select * from {{ ref('dim_products') }}
),

-- who has stopped buying needs no further product but a call
active_customers as (
    select customer_id
    from {{ ref('customer_segments') }}
    where lifecycle not in ('dormant', 'lost')
),

-- what was bought within the window is among the customer's products, so no gap; told of every
-- product bought before, as DuckDB guesses gaps to be many and would keep each line to look them up
products_before_window as (
    select
        customer_id,
        product_id,
        max(ordered_on) as last_bought_on
    from {{ ref('fct_order_lines') }}
    where
        not is_cancelled
        and ordered_on <= {{ add_months(as_of_date(), '-' ~ affinity_rule('window_months')) }}
    group by customer_id, product_id
),

affinity_rules as (
    select * from {{ ref('affinity_rules') }}
    where {{ is_in_force() }}
),

gap_reasons as (
    select * from {{ ref('gap_reasons') }}
    where {{ is_in_force() }}
),

baskets as (
    select
        customer_id,
        peer_group,
        {{ list_in_order('product_id', 'product_id') }} as basket,
        sum(revenue_amount) as revenue_amount
    from customer_products
    group by customer_id, peer_group
),

-- peers that buy the same products lack the same: found once, for one of them
buyers as (
    select
        customer_id,
        peer_group,
        revenue_amount,
        min(customer_id) over (partition by peer_group, basket) as example_customer_id
    from baskets
),

examples as (
    select * from buyers
    where customer_id = example_customer_id
),

example_products as (
    select
        customer_products.customer_id,
        customer_products.peer_group,
        customer_products.product_id
    from customer_products
    inner join examples on customer_products.customer_id = examples.customer_id
),

-- a customer outside the large industries is compared with the whole book
grouped_products as (
    select
        peer_group,
        customer_id,
        product_id,
        revenue_amount,
        revenue_share
    from customer_products
    where peer_group <> 'all'
    union all
    select
        'all' as peer_group,
        customer_id,
        product_id,
        revenue_amount,
        revenue_share
    from customer_products
    where exists (select 1 from buyers where buyers.peer_group = 'all')
),

group_sizes as (
    select
        peer_group,
        count(distinct customer_id) as count_customers
    from grouped_products
    group by peer_group
),

products_on_sale as (
    select product_id
    from customer_products
    group by product_id
    having
        max(last_ordered_on)
        > {{ add_months(as_of_date(), '-' ~ affinity_rule('selling_months')) }}
),

group_products as (
    select
        grouped_products.peer_group,
        grouped_products.product_id,
        count(*) as count_buyers,
        {{ median_amount('grouped_products.revenue_amount') }} as median_amount,
        median(grouped_products.revenue_share) as median_share
    from grouped_products
    inner join products_on_sale on grouped_products.product_id = products_on_sale.product_id
    group by grouped_products.peer_group, grouped_products.product_id
),

-- a rank per peer group, so that the least rank is the strongest rule
ranked_rules as (
    select
        product_affinity.*,
        row_number() over (
            partition by product_affinity.peer_group
            order by
                product_affinity.confidence_rate_low desc, product_affinity.lift desc,
                product_affinity.product_id asc, product_affinity.other_product_id asc
        ) as rule_rank,
        row_number() over (
            partition by product_affinity.peer_group, product_affinity.product_id
            order by
                product_affinity.confidence_rate_low desc, product_affinity.lift desc,
                product_affinity.other_product_id asc
        ) as product_rule_rank
    from product_affinity
    inner join products_on_sale on product_affinity.other_product_id = products_on_sale.product_id
),

strong_rules as (
    select ranked_rules.*
    from ranked_rules
    inner join affinity_rules
        on ranked_rules.product_rule_rank <= affinity_rules.rules_per_product
),

ruled_products as (
    select
        example_products.customer_id,
        example_products.peer_group,
        strong_rules.other_product_id as product_id,
        min(strong_rules.rule_rank) as rule_rank
    from example_products
    inner join strong_rules
        on
            example_products.peer_group = strong_rules.peer_group
            and example_products.product_id = strong_rules.product_id
    group by
        example_products.customer_id, example_products.peer_group, strong_rules.other_product_id
),

rule_candidates as (
    select
        ruled_products.customer_id,
        ruled_products.peer_group,
        ruled_products.product_id,
        'rule' as basis,
        strong_rules.product_id as because_product_id,
        strong_rules.count_customers_product as count_because,
        strong_rules.count_customers_both as count_both,
        strong_rules.lift
    from ruled_products
    inner join strong_rules
        on
            ruled_products.peer_group = strong_rules.peer_group
            and ruled_products.rule_rank = strong_rules.rule_rank
),

-- of a customer none of whose products leads to another, only the company it keeps is known
penetration_candidates as (
    select
        examples.customer_id,
        examples.peer_group,
        group_products.product_id,
        'penetration' as basis,
        cast(null as {{ dbt.type_string() }}) as because_product_id,
        group_sizes.count_customers as count_because,
        cast(group_products.count_buyers as integer) as count_both,
        cast(null as double) as lift
    from examples
    inner join group_products on examples.peer_group = group_products.peer_group
    inner join group_sizes on examples.peer_group = group_sizes.peer_group
    inner join affinity_rules
        on
            group_products.count_buyers >= affinity_rules.min_customers_product
            and group_products.count_buyers
            >= affinity_rules.min_penetration * group_sizes.count_customers
    where examples.customer_id not in (select customer_id from ruled_products)
),

candidates as (
    select * from rule_candidates
    union all
    select * from penetration_candidates
),

missing_products as (
    select candidates.*
    from candidates
    left join example_products
        on
            candidates.customer_id = example_products.customer_id
            and candidates.product_id = example_products.product_id
    where example_products.customer_id is null
),

-- a small customer does not buy what the median peer buys: of its own size it would spend on the
-- product, beside what it spends now, the share that the peers do
sized_gaps as (
    select
        buyers.customer_id,
        missing_products.peer_group,
        missing_products.product_id,
        missing_products.basis,
        missing_products.because_product_id,
        missing_products.count_because,
        missing_products.count_both,
        missing_products.lift,
        group_products.count_buyers,
        group_sizes.count_customers,
        group_products.median_amount,
        case
            when group_products.median_share is null then group_products.median_amount
            else cast(
                buyers.revenue_amount * least(
                    group_products.median_share / nullif(1 - group_products.median_share, 0),
                    affinity_rules.max_growth_rate
                ) as decimal(28, 4)
            )
        end as sized_amount
    from missing_products
    cross join affinity_rules
    inner join buyers on missing_products.customer_id = buyers.example_customer_id
    inner join active_customers on buyers.customer_id = active_customers.customer_id
    inner join group_products
        on
            missing_products.peer_group = group_products.peer_group
            and missing_products.product_id = group_products.product_id
    inner join group_sizes on missing_products.peer_group = group_sizes.peer_group
),

valued_gaps as (
    select
        sized_gaps.*,
        -- decimals divide as doubles: six decimals bring an exact half back before it is rounded
        {{ to_amount(
            'cast(sized_gaps.sized_amount * sized_gaps.count_both'
            ~ ' / sized_gaps.count_because as decimal(28, 6))'
        ) }} as expected_revenue_amount,
        {{ wilson_low(
            'sized_gaps.count_both', 'sized_gaps.count_because', 'affinity_rules.normal_quantile'
        ) }} as confidence_rate_low,
        affinity_rules.gaps_per_customer
    from sized_gaps
    cross join affinity_rules
),

ranked_gaps as (
    select
        *,
        row_number() over (
            partition by customer_id
            order by expected_revenue_amount desc, confidence_rate_low desc, product_id asc
        ) as gap_rank
    from valued_gaps
    where expected_revenue_amount > 0
),

best_gaps as (
    select * from ranked_gaps
    where gap_rank <= gaps_per_customer
),

measured_gaps as (
    select
        best_gaps.*,
        -- a product that it gave up is no news to it
        products_before_window.last_bought_on,
        products_before_window.last_bought_on is not null as is_lapsed,
        products.product_name,
        products.category,
        because_products.product_name as because_product_name,
        {{ mean_of('best_gaps.count_both', 'best_gaps.count_because') }} as confidence_rate,
        {{ mean_of('best_gaps.count_both', 'best_gaps.count_customers') }} as support_rate,
        {{ mean_of('best_gaps.count_buyers', 'best_gaps.count_customers') }}
            as penetration_rate
    from best_gaps
    inner join products on best_gaps.product_id = products.product_id
    left join products as because_products
        on best_gaps.because_product_id = because_products.product_id
    left join products_before_window
        on
            best_gaps.customer_id = products_before_window.customer_id
            and best_gaps.product_id = products_before_window.product_id
),

{% set values = {
    'because': 'reasoned_gaps.because_product_name',
    'product': 'reasoned_gaps.product_name',
    'peer_group': 'reasoned_gaps.peer_group',
    'count_because': 'reasoned_gaps.count_because',
    'count_both': 'reasoned_gaps.count_both',
    'count_customers': 'reasoned_gaps.count_customers',
    'confidence': as_whole('100 * reasoned_gaps.confidence_rate'),
    'penetration': as_whole('100 * reasoned_gaps.penetration_rate'),
    'window_months': affinity_rule('window_months'),
    'lift': with_one_decimal('reasoned_gaps.lift'),
} -%}
{%- set values_of_customer = {'last_bought_on': 'measured_gaps.last_bought_on'} -%}
-- all but the customer's own date is said once for the peers who lack a product for one reason
reasoned_gaps as (
    select distinct
        peer_group,
        product_id,
        because_product_id,
        is_lapsed,
        basis,
        product_name,
        because_product_name,
        count_because,
        count_both,
        count_customers,
        confidence_rate,
        penetration_rate,
        lift
    from measured_gaps
),

reasons as (
    select
        reasoned_gaps.peer_group,
        reasoned_gaps.product_id,
        reasoned_gaps.because_product_id,
        reasoned_gaps.is_lapsed,
        {{ fill_in('gap_reasons.reason_en', values, is_whole=false) }} as reason_en,
        {{ fill_in('gap_reasons.reason_zh', values, is_whole=false) }} as reason_zh
    from reasoned_gaps
    inner join gap_reasons
        on
            reasoned_gaps.basis = gap_reasons.basis
            and reasoned_gaps.is_lapsed = gap_reasons.is_lapsed
            and (reasoned_gaps.peer_group = 'all') = gap_reasons.is_whole_book
),

final as (
    select
        measured_gaps.customer_id,
        measured_gaps.product_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        cast(measured_gaps.gap_rank as integer) as gap_rank,
        measured_gaps.product_name,
        measured_gaps.category,
        measured_gaps.peer_group,
        measured_gaps.basis,
        measured_gaps.is_lapsed,
        measured_gaps.last_bought_on,
        measured_gaps.because_product_id,
        measured_gaps.because_product_name,
        cast(measured_gaps.count_customers as integer) as count_customers,
        cast(measured_gaps.count_because as integer) as count_customers_because,
        cast(measured_gaps.count_both as integer) as count_customers_both,
        measured_gaps.support_rate,
        measured_gaps.penetration_rate,
        measured_gaps.confidence_rate,
        measured_gaps.confidence_rate_low,
        measured_gaps.lift,
        {{ to_amount('measured_gaps.median_amount') }} as median_revenue_amount,
        measured_gaps.expected_revenue_amount,
        {{ fill_in('reasons.reason_en', values_of_customer) }} as reason_en,
        {{ fill_in('reasons.reason_zh', values_of_customer) }} as reason_zh
    from measured_gaps
    inner join reasons
        on
            measured_gaps.peer_group = reasons.peer_group
            and measured_gaps.product_id = reasons.product_id
            and measured_gaps.is_lapsed = reasons.is_lapsed
            and measured_gaps.because_product_id is not distinct from reasons.because_product_id
)

select * from final
