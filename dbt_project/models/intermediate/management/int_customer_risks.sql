with customers as (
    select * from {{ ref('dim_customers') }}
),

segments as (
    select * from {{ ref('customer_segments') }}
),

segment_history as (
    select * from {{ ref('customer_segment_history') }}
    where month_on >= {{ add_months(
        month_start(as_of_date()),
        'cast(-2 * ' ~ management_parameter('churn_window_months') ~ ' as integer)',
    ) }}
),

credit_scores as (
    select * from {{ ref('credit_scores') }}
),

exposures as (
    select * from {{ ref('credit_exposures') }}
),

expected_losses as (
    select * from {{ ref('expected_credit_loss') }}
    where currency = {{ reporting_currency() }}
),

customer_products as (
    select * from {{ ref('customer_products') }}
),

products as (
    select * from {{ ref('dim_products') }}
),

market_prices as (
    select * from {{ ref('stg_landing__market_prices') }}
    where
        price_on <= {{ as_of_date() }}
        and category is not null
),

parameters as (
    select * from {{ ref('management_parameters') }}
    where area = 'risk' and {{ is_in_force() }}
),

risk_rules as (
    select * from {{ ref('risk_rules') }}
    where {{ is_in_force() }}
),

risk_classes as (
    select * from {{ ref('risk_classes') }}
    where {{ is_in_force() }}
),

-- churn: of those in a stage, how many were dormant or lost so many months later
stage_outcomes as (
    select
        earlier.lifecycle,
        count(*) as count_observed,
        count(*) filter (where later.lifecycle in ('dormant', 'lost')) as count_gone
    from segment_history as earlier
    inner join segment_history as later
        on
            earlier.customer_id = later.customer_id
            and later.month_on = {{ add_months(
                'earlier.month_on',
                'cast(' ~ management_parameter('churn_window_months') ~ ' as integer)',
            ) }}
    -- the running month is not over
    where later.month_on < {{ month_start(as_of_date()) }}
    group by earlier.lifecycle
),

churn_rates as (
    select
        replace(parameters.parameter, 'churn_prior_', '') as lifecycle,
        coalesce(stage_outcomes.count_observed, 0) as count_observed,
        (
            coalesce(stage_outcomes.count_gone, 0)
            + cast(parameters.value as double)
            * {{ management_parameter('churn_prior_strength') }}
        ) / (
            coalesce(stage_outcomes.count_observed, 0)
            + {{ management_parameter('churn_prior_strength') }}
        ) as likelihood_rate
    from parameters
    left join stage_outcomes
        on parameters.parameter = concat('churn_prior_', stage_outcomes.lifecycle)
    where
        parameters.parameter like 'churn\_prior\_%' escape '\'
        and parameters.parameter <> 'churn_prior_strength'
),

book as (
    select
        sum(margin_12_months_amount) as margin_amount,
        {{ margin_rate_of_the_book() }} as margin_rate
    from segments
),

churn_risks as (
    select
        segments.customer_id,
        'churn' as risk_kind,
        churn_rates.likelihood_rate,
        'book_history' as likelihood_basis,
        segments.margin_12_months_amount as impact_amount,
        churn_rates.count_observed as count_evidence,
        segments.lifecycle_since_on as evidence_on,
        segments.recency_days as evidence_days,
        segments.lifecycle_label_en as stage_en,
        segments.lifecycle_label_zh as stage_zh
    from segments
    inner join churn_rates on segments.lifecycle = churn_rates.lifecycle
),

credit_risks as (
    select
        exposures.customer_id,
        'credit' as risk_kind,
        credit_scores.pd_probability as likelihood_rate,
        'credit_score' as likelihood_basis,
        exposures.exposure_amount * coalesce(
            expected_losses.loss_given_default_rate, {{ loss_given_default_of_others() }}
        ) as impact_amount,
        exposures.exposure_amount,
        credit_scores.is_in_default as is_fact,
        credit_scores.grade as stage_en,
        credit_scores.grade as stage_zh
    from exposures
    inner join credit_scores on exposures.customer_id = credit_scores.customer_id
    left join expected_losses on exposures.customer_id = expected_losses.customer_id
    where credit_scores.pd_probability is not null and exposures.exposure_amount > 0
),

-- price: how often the category's price of a month's end was so much below that of months before
month_end_prices as (
    select
        price_code,
        category,
        {{ month_start('price_on') }} as month_on,
        {{ month_start('price_on') }} < {{ month_start(as_of_date()) }} as is_over,
        market_price
    from market_prices
    where price_on >= {{ add_months(
        month_start(as_of_date()),
        'cast(-' ~ management_parameter('price_history_months') ~ ' as integer)',
    ) }}
    qualify row_number() over (
        partition by price_code, {{ month_start('price_on') }} order by price_on desc
    ) = 1
),

price_moves as (
    select
        later.category,
        count(*) as count_months,
        count(*) filter (
            where later.market_price
            <= earlier.market_price * (1 - {{ management_parameter('price_shock_rate') }})
        ) as count_falls
    from month_end_prices as later
    inner join month_end_prices as earlier
        on
            later.price_code = earlier.price_code
            and later.month_on = {{ add_months(
                'earlier.month_on',
                'cast(' ~ management_parameter('price_move_months') ~ ' as integer)',
            ) }}
    where later.is_over
    group by later.category
    having count(*) >= {{ management_parameter('price_minimum_months') }}
),

-- exact decimals: a sum of doubles would hang on the order of the rows
price_rates as (
    select
        category,
        count_months,
        cast(
            (
                count_falls
                + {{ management_parameter('price_prior_likelihood') }}
                * {{ management_parameter('price_prior_months') }}
            ) / cast(
                count_months + {{ management_parameter('price_prior_months') }} as double
            ) as decimal(9, 8)
        ) as likelihood_rate
    from price_moves
),

category_totals as (
    select
        customer_products.customer_id,
        products.category,
        cast(sum(customer_products.revenue_amount) as decimal(18, 2)) as revenue_amount
    from customer_products
    inner join products on customer_products.product_id = products.product_id
    group by customer_products.customer_id, products.category
),

price_totals as (
    select
        category_totals.customer_id,
        sum(category_totals.revenue_amount) as revenue_amount,
        {{ mean_of(
            'sum(' ~ factor('category_totals.revenue_amount') ~ ' * price_rates.likelihood_rate)',
            'sum(category_totals.revenue_amount)',
        ) }} as likelihood_rate,
        min(price_rates.count_months) as count_months
    from category_totals
    inner join price_rates on category_totals.category = price_rates.category
    where category_totals.revenue_amount > 0
    group by category_totals.customer_id
),

price_risks as (
    select
        price_totals.customer_id,
        'price' as risk_kind,
        price_totals.likelihood_rate,
        'market_history' as likelihood_basis,
        -- what suppliers do not take back of it, and no more than there is to lose
        least(
            price_totals.revenue_amount
            * {{ management_parameter('price_shock_rate') }}
            * parameters.value
            * {{ management_parameter('price_squeeze_share') }},
            segments.margin_12_months_amount
        ) as impact_amount,
        price_totals.count_months as count_evidence,
        parameters.value as told_share
    from price_totals
    inner join segments on price_totals.customer_id = segments.customer_id
    inner join parameters
        on parameters.parameter = concat('pass_through_', segments.sale_type)
),

-- concentration: one row a group, with the member that brings most
group_members as (
    select
        segments.customer_id,
        1 - (1 - coalesce(churn_risks.likelihood_rate, 0))
        * (1 - coalesce(credit_risks.likelihood_rate, 0)) as likelihood_rate,
        sum(segments.margin_12_months_amount) over (
            partition by customers.group_key
        ) as group_margin_amount,
        row_number() over (
            partition by customers.group_key
            order by segments.margin_12_months_amount desc nulls last, segments.customer_id asc
        ) as member_no
    from segments
    inner join customers on segments.customer_id = customers.customer_id
    left join churn_risks on segments.customer_id = churn_risks.customer_id
    left join credit_risks on segments.customer_id = credit_risks.customer_id
),

concentration_risks as (
    select
        group_members.customer_id,
        'concentration' as risk_kind,
        group_members.likelihood_rate,
        'churn_or_credit' as likelihood_basis,
        group_members.group_margin_amount as impact_amount,
        {{ mean_of('group_members.group_margin_amount', 'book.margin_amount') }} as told_share
    from group_members
    cross join book
    where
        group_members.member_no = 1
        and group_members.likelihood_rate > 0
        and group_members.group_margin_amount
        >= book.margin_amount * {{ management_parameter('concentration_share') }}
),

-- substitution: buys on, but no longer this product
left_products as (
    select
        customer_products.customer_id,
        products.product_name,
        customer_products.last_ordered_on,
        coalesce(
            customer_products.margin_amount, customer_products.revenue_amount * book.margin_rate
        ) as margin_amount
    from customer_products
    inner join products on customer_products.product_id = products.product_id
    inner join segments on customer_products.customer_id = segments.customer_id
    cross join book
    where
        segments.lifecycle in ('active', 'slowing')
        and segments.recency_days <= {{ management_parameter('substitution_silent_days') }}
        and customer_products.count_orders
        >= {{ management_parameter('substitution_minimum_orders') }}
        and {{ days_between('customer_products.last_ordered_on', as_of_date()) }}
        > {{ management_parameter('substitution_silent_days') }}
),

substitution_risks as (
    select
        customer_id,
        'substitution' as risk_kind,
        cast({{ management_parameter('substitution_likelihood') }} as double)
            as likelihood_rate,
        'judgement' as likelihood_basis,
        sum(margin_amount) as impact_amount,
        count(*) as count_evidence,
        max_by(
            {{ days_between('last_ordered_on', as_of_date()) }}, margin_amount
        ) as evidence_days,
        max_by(product_name, margin_amount) as told_name
    from left_products
    where margin_amount > 0
    group by customer_id
),

risks as (
    {%- set columns = [
        'count_evidence', 'evidence_on', 'evidence_days', 'stage_en', 'stage_zh',
        'exposure_amount', 'told_share', 'told_name', 'is_fact',
    ] %}
    {%- set kinds = {
        'churn': ['count_evidence', 'evidence_on', 'evidence_days', 'stage_en', 'stage_zh'],
        'credit': ['exposure_amount', 'is_fact', 'stage_en', 'stage_zh'],
        'price': ['count_evidence', 'told_share'],
        'concentration': ['told_share'],
        'substitution': ['count_evidence', 'evidence_days', 'told_name'],
    } %}
    {%- for kind, known in kinds.items() %}
        select
            customer_id,
            risk_kind,
            cast(likelihood_rate as double) as likelihood_rate,
            likelihood_basis,
            {%- for column in columns %}
                {{ column if column in known else 'null' }} as {{ column }},
            {%- endfor %}
            {{ cents_of('impact_amount') }} as impact_amount
        from {{ kind }}_risks
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- what has come about is told as a fact
told_risks as (
    select
        {%- for language in ['en', 'zh'] %}
            coalesce(
                case when risks.is_fact then risk_rules.fact_driver_{{ language }} end,
                risk_rules.driver_{{ language }}
            ) as sentence_{{ language }},
        {%- endfor %}
        risks.*
    from risks
    inner join risk_rules on risks.risk_kind = risk_rules.risk_kind
),

classed_risks as (
    select
        risks.*,
        cast(risks.likelihood_rate * risks.impact_amount as decimal(18, 2))
            as expected_loss_amount,
        max(likelihoods.class_no) as likelihood_class,
        max(impacts.class_no) as impact_class
    from told_risks as risks
    cross join book
    inner join risk_classes as likelihoods
        on
            likelihoods.axis = 'likelihood'
            and risks.likelihood_rate >= likelihoods.class_from
    inner join risk_classes as impacts
        on
            impacts.axis = 'impact'
            and risks.impact_amount >= impacts.class_from * greatest(book.margin_amount, 0)
    where risks.impact_amount > 0
    group by all
),

levels as (
    select
        class_no,
        class_from,
        due_days,
        label_en,
        label_zh,
        lead(class_from) over (order by class_no) as class_until
    from risk_classes
    where axis = 'level'
),

{% set values = {
    'stage': 'classed_risks.stage_%s',
    'date': 'classed_risks.evidence_on',
    'days': 'classed_risks.evidence_days',
    'rate': with_decimal_if_any('100 * classed_risks.likelihood_rate'),
    'count': 'classed_risks.count_evidence',
    'amount': as_grouped('classed_risks.impact_amount'),
    'exposure': as_grouped('classed_risks.exposure_amount'),
    'currency': reporting_currency(),
    'threshold': as_whole('100 * ' ~ management_parameter('price_shock_rate')),
    'window': as_whole(management_parameter('price_move_months')),
    'share': with_decimal_if_any('100 * classed_risks.told_share'),
    'name': 'classed_risks.told_name',
} -%}
final as (
    select
        -- of another level it is another thing to answer
        concat_ws(
            ':', classed_risks.customer_id, classed_risks.risk_kind, levels.class_no
        ) as risk_id,
        classed_risks.customer_id,
        classed_risks.risk_kind,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        cast(
            row_number() over (
                order by
                    classed_risks.expected_loss_amount desc,
                    classed_risks.customer_id asc,
                    risk_rules.kind_order asc
            ) as integer
        ) as risk_rank,
        risk_rules.label_en as risk_label_en,
        risk_rules.label_zh as risk_label_zh,
        classed_risks.likelihood_rate,
        classed_risks.likelihood_basis,
        classed_risks.impact_amount,
        classed_risks.expected_loss_amount,
        cast(classed_risks.likelihood_class as integer) as likelihood_class,
        cast(classed_risks.impact_class as integer) as impact_class,
        cast(levels.class_no as integer) as risk_level,
        levels.label_en as risk_level_label_en,
        levels.label_zh as risk_level_label_zh,
        {%- for language in ['en', 'zh'] %}
            {%- set told = dict(values, stage=values['stage'] % language) %}
            {{ fill_in('classed_risks.sentence_' ~ language, told) }} as driver_{{ language }},
            risk_rules.response_{{ language }},
        {%- endfor %}
        risk_rules.owner_role,
        customers.account_manager,
        levels.due_days
    from classed_risks
    inner join risk_rules on classed_risks.risk_kind = risk_rules.risk_kind
    inner join customers on classed_risks.customer_id = customers.customer_id
    inner join levels
        on
            classed_risks.likelihood_class * classed_risks.impact_class >= levels.class_from
            and classed_risks.likelihood_class * classed_risks.impact_class
            < coalesce(levels.class_until, 26)
)

select * from final
