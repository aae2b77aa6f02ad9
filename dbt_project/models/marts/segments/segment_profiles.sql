{#- A dimension and the columns of customer_segments with the labels of its classes. -#}
{%- set dimensions = {
    'rfm_segment': ('rfm_segment_label_en', 'rfm_segment_label_zh'),
    'abc_class': ('abc_class_label_en', 'abc_class_label_zh'),
    'lifecycle': ('lifecycle_label_en', 'lifecycle_label_zh'),
    'value_tier': ('value_tier_label_en', 'value_tier_label_zh'),
    'growth_class': ('growth_class_label_en', 'growth_class_label_zh'),
    'industry': ('industry', 'industry'),
    'scale_class': none,
    'sale_type': none,
} -%}
{#- What a segment was three months ago is known of the classes that have a history. -#}
{%- set followed = followed_classes() -%}
{%- set first_month = add_months(
    month_start(as_of_date()), '1 - (select window_months from profile_rules)'
) -%}
{#- The clauses of a portrait: the condition that its numbers are known, and the numbers. -#}
{%- set clauses = {
    'size': ('share_of_revenue is not null', {
        'count_customers': 'count_customers',
        'count_all_customers': 'count_all_customers',
        'share_of_customers': with_one_decimal('100 * share_of_customers'),
        'share_of_revenue': with_one_decimal('100 * share_of_revenue'),
    }),
    'margin': ('share_of_margin is not null and margin_rate is not null', {
        'share_of_margin': with_one_decimal('100 * share_of_margin'),
        'margin_rate': with_one_decimal('100 * margin_rate'),
    }),
    'rhythm': ('gap_median_days is not null and average_order_amount is not null', {
        'gap_days': with_one_decimal('gap_median_days'),
        'average_order': as_grouped('average_order_amount'),
        'currency': 'currency',
    }),
    'products': ('top_category is not null', {'categories': 'top_category'}),
    'payment': ('days_to_pay_mean is not null', {'days_to_pay': as_whole('days_to_pay_mean')}),
    'overdue': ('overdue_rate is not null', {
        'overdue_share': with_one_decimal('100 * overdue_rate'),
    }),
    'csat': ('csat_score_rate_mean is not null', {
        'csat': as_whole('100 * csat_score_rate_mean'),
        'count_csat': 'count_csat_answers',
    }),
    'nps': ('nps_score is not null', {
        'nps': with_one_decimal('nps_score'),
        'count_nps': 'count_nps_answers',
    }),
    'complaints': ('complaints_per_100_orders is not null', {
        'complaints': with_one_decimal('complaints_per_100_orders'),
    }),
    'need': ('needs_en is not null', {'need_en': 'top_need_en', 'need_zh': 'top_need_zh'}),
    'drift': ('count_change is not null', {
        'count_change': "concat(case when count_change > 0 then '+' else '' end, count_change)",
        'drift_months': 'drift_months',
    }),
    'thin': ('is_thin', {}),
} -%}

with customer_segments as (
    select * from {{ ref('customer_segments') }}
),

profile_rules as (
    select * from {{ ref('profile_rules') }}
    where {{ is_in_force() }}
),

profile_dimensions as (
    select * from {{ ref('profile_dimensions') }}
    where {{ is_in_force() }}
),

profile_clauses as (
    select * from {{ ref('profile_clauses') }}
    where {{ is_in_force() }}
),

need_type_labels as (
    select * from {{ ref('need_type_labels') }}
    where {{ is_in_force() }}
),

code_labels as (
    select
        -- customer_segments calls the size class of a customer its scale
        case domain when 'size_class' then 'scale_class' else domain end as dimension,
        code,
        label_en,
        label_zh
    from {{ ref('code_labels') }}
    where domain in ('size_class', 'sale_type') and {{ is_in_force() }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
    where month_on >= {{ first_month }}
),

survey_responses as (
    select * from {{ ref('fct_survey_responses') }}
    where answered_on >= {{ first_month }}
),

customer_products as (
    select
        customer_products.customer_id,
        products.category,
        customer_products.revenue_amount
    from {{ ref('customer_products') }} as customer_products
    left join {{ ref('dim_products') }} as products
        on customer_products.product_id = products.product_id
),

-- the day a payment is cash: a bill pays when it matures
payments as (
    select * from {{ ref('fct_payments') }}
    where
        payment_amount > 0
        and settled_on >= {{ first_month }}
        and settled_on <= {{ as_of_date() }}
),

invoices as (
    select
        invoice_id,
        order_id,
        invoiced_on
    from {{ ref('fct_invoices') }}
    where invoice_amount > 0
),

history as (
    select * from {{ ref('customer_segment_history') }}
    where
        month_on = {{ add_months(
            month_start(as_of_date()), '-(select drift_months from profile_rules)'
        ) }}
),

month_totals as (
    select
        customer_id,
        sum(count_orders) as count_orders,
        sum(revenue_amount) as ordered_amount,
        sum(weight_tonnes) as weight_tonnes,
        sum(count_complaints) as count_complaints,
        sum(open_balance_amount) filter (where month_on = {{ month_start(as_of_date()) }})
            as open_balance_amount,
        sum(overdue_amount) filter (where month_on = {{ month_start(as_of_date()) }})
            as overdue_amount
    from customer_months
    group by customer_id
),

order_invoices as (
    select
        order_id,
        min(invoiced_on) as invoiced_on
    from invoices
    where order_id is not null
    group by order_id
),

-- payments that name what they pay, an invoice or an order; the others cannot be timed
timed_payments as (
    select
        payments.customer_id,
        payments.payment_amount,
        {{ days_between(
            'coalesce(invoices.invoiced_on, order_invoices.invoiced_on)', 'payments.settled_on'
        ) }} as days_to_pay
    from payments
    left join invoices on payments.reference = invoices.invoice_id
    left join order_invoices
        on coalesce(payments.order_id, payments.reference) = order_invoices.order_id
    where coalesce(invoices.invoiced_on, order_invoices.invoiced_on) is not null
),

payment_totals as (
    select
        customer_id,
        sum(payment_amount) as timed_amount,
        sum(payment_amount * days_to_pay) as timed_amount_days
    from timed_payments
    group by customer_id
),

survey_totals as (
    select
        survey_responses.customer_id,
        sum(survey_responses.score_rate) filter (where survey_responses.measure = 'csat')
            as csat_score_rate_total,
        count(survey_responses.score_rate) filter (where survey_responses.measure = 'csat')
            as count_csat_answers,
        count(survey_responses.score) filter (where survey_responses.measure = 'nps')
            as count_nps_answers,
        count(*) filter (
            where
            survey_responses.measure = 'nps'
            and survey_responses.score >= profile_rules.promoter_from
        ) as count_promoters,
        count(*) filter (
            where
            survey_responses.measure = 'nps'
            and survey_responses.score <= profile_rules.detractor_to
        ) as count_detractors
    from survey_responses
    cross join profile_rules
    group by survey_responses.customer_id
),

need_totals as (
    select
        customer_id,
        need_type,
        sum(importance * urgency) as priority_total,
        count(*) as count_answers
    from survey_responses
    where need_type is not null and importance is not null and urgency is not null
    group by customer_id, need_type
),

members as (
    {%- for dimension in dimensions %}
        select
            customer_id,
            '{{ dimension }}' as dimension,
            coalesce({{ dimension }}, 'none') as class_code
        from customer_segments
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

members_before as (
    {%- for dimension in followed %}
        select
            '{{ dimension }}' as dimension,
            coalesce({{ dimension }}, 'none') as class_code
        from history
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counts_before as (
    select
        dimension,
        class_code,
        count(*) as count_customers,
        sum(count(*)) over (partition by dimension) as count_all_customers
    from members_before
    group by dimension, class_code
),

dimensions_before as (
    select distinct dimension
    from counts_before
),

-- one row per customer, which each dimension adds up for itself
customer_totals as (
    select
        customer_segments.*,
        month_totals.count_orders as count_orders_12_months,
        month_totals.ordered_amount,
        month_totals.weight_tonnes,
        month_totals.count_complaints,
        month_totals.open_balance_amount,
        month_totals.overdue_amount,
        payment_totals.timed_amount,
        payment_totals.timed_amount_days,
        survey_totals.csat_score_rate_total,
        survey_totals.count_csat_answers,
        survey_totals.count_nps_answers,
        survey_totals.count_promoters,
        survey_totals.count_detractors
    from customer_segments
    left join month_totals on customer_segments.customer_id = month_totals.customer_id
    left join payment_totals on customer_segments.customer_id = payment_totals.customer_id
    left join survey_totals on customer_segments.customer_id = survey_totals.customer_id
),

class_totals as (
    {%- for dimension, labels in dimensions.items() %}
        select
            '{{ dimension }}' as dimension,
            coalesce({{ dimension }}, 'none') as class_code,
            {{ 'max(' ~ labels[0] ~ ')' if labels else 'cast(null as ' ~ dbt.type_string() ~ ')' }}
                as class_label_en,
            {{ 'max(' ~ labels[1] ~ ')' if labels else 'cast(null as ' ~ dbt.type_string() ~ ')' }}
                as class_label_zh,
            max(currency) as currency,
            count(*) as count_customers,
            sum(revenue_12_months_amount) as revenue_12_months_amount,
            sum(margin_12_months_amount) as margin_12_months_amount,
            sum(revenue_12_months_amount)
            filter (where margin_12_months_amount is not null) as costed_revenue_amount,
            median(gap_median_days) as gap_median_days,
            sum(count_orders_12_months) as count_orders,
            sum(ordered_amount) as ordered_amount,
            sum(weight_tonnes) as weight_tonnes,
            sum(count_complaints) as count_complaints,
            sum(open_balance_amount) as open_balance_amount,
            sum(overdue_amount) as overdue_amount,
            sum(timed_amount) as timed_amount,
            sum(timed_amount_days) as timed_amount_days,
            sum(csat_score_rate_total) as csat_score_rate_total,
            sum(count_csat_answers) as count_csat_answers,
            sum(count_nps_answers) as count_nps_answers,
            sum(count_promoters) as count_promoters,
            sum(count_detractors) as count_detractors
        from customer_totals
        group by coalesce({{ dimension }}, 'none')
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

shared_totals as (
    select
        *,
        sum(count_customers) over (partition by dimension) as count_all_customers,
        sum(revenue_12_months_amount) over (partition by dimension) as all_revenue_amount,
        sum(margin_12_months_amount) over (partition by dimension) as all_margin_amount
    from class_totals
),

-- what a segment is made of: categories by revenue, industries and regions by customers
features as (
    select
        customer_id,
        'category' as kind,
        category as feature,
        revenue_amount as weight
    from customer_products
    union all
    select
        customer_id,
        'industry' as kind,
        industry as feature,
        1 as weight
    from customer_segments
    union all
    select
        customer_id,
        'region' as kind,
        region as feature,
        1 as weight
    from customer_segments
),

-- customers alike in every dimension are added up first, for there are many rows
classified_features as (
    select
        {%- for dimension in dimensions %}
            coalesce(customer_segments.{{ dimension }}, 'none') as {{ dimension }},
        {%- endfor %}
        features.kind,
        features.feature,
        sum(features.weight) as weight
    from features
    inner join customer_segments on features.customer_id = customer_segments.customer_id
    group by
        {%- for dimension in dimensions %}
            coalesce(customer_segments.{{ dimension }}, 'none'),
        {%- endfor %}
        features.kind,
        features.feature
),

feature_totals as (
    {%- for dimension in dimensions %}
        select
            '{{ dimension }}' as dimension,
            {{ dimension }} as class_code,
            kind,
            feature,
            sum(weight) as weight
        from classified_features
        group by {{ dimension }}, kind, feature
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

class_features as (
    select
        *,
        -- of all, also of what has no name
        {{ mean_of('weight', 'sum(weight) over (partition by dimension, class_code, kind)') }}
            as feature_share
    from feature_totals
),

ranked_features as (
    select
        dimension,
        class_code,
        kind,
        concat(feature, ' ', {{ as_whole('100 * feature_share') }}, ' %') as feature_text,
        row_number() over (
            partition by dimension, class_code, kind
            order by weight desc, feature asc
        ) as feature_rank
    from class_features
    where feature is not null and weight > 0
),

class_texts as (
    select
        {%- for kind in ['category', 'industry', 'region'] %}
            {{ top_three('feature_text', 'feature_rank', "kind = '" ~ kind ~ "'") }}
                as top_{{ kind }},
        {%- endfor %}
        dimension,
        class_code
    from ranked_features
    group by dimension, class_code
),

class_needs as (
    select
        members.dimension,
        members.class_code,
        need_totals.need_type,
        {{ mean_of('sum(need_totals.priority_total)', 'sum(need_totals.count_answers)') }}
            as priority_mean,
        sum(need_totals.count_answers) as count_answers
    from members
    inner join need_totals on members.customer_id = need_totals.customer_id
    group by members.dimension, members.class_code, need_totals.need_type
),

ranked_needs as (
    select
        class_needs.*,
        coalesce(need_type_labels.label_en, class_needs.need_type) as label_en,
        coalesce(need_type_labels.label_zh, class_needs.need_type) as label_zh,
        concat(
            ' ', {{ with_one_decimal('class_needs.priority_mean') }},
            ' (n ', class_needs.count_answers, ')'
        ) as numbers,
        row_number() over (
            partition by class_needs.dimension, class_needs.class_code
            order by class_needs.priority_mean desc, class_needs.need_type asc
        ) as need_rank
    from class_needs
    left join need_type_labels on class_needs.need_type = need_type_labels.need_type
),

need_texts as (
    select
        dimension,
        class_code,
        {%- for language in ['en', 'zh'] %}
            max(concat(label_{{ language }}, numbers)) filter (where need_rank = 1)
                as top_need_{{ language }},
            {{ top_three('concat(label_' ~ language ~ ', numbers)', 'need_rank') }}
                as needs_{{ language }},
        {%- endfor %}
        max(need_type) filter (where need_rank = 1) as top_need_type,
        max(priority_mean) filter (where need_rank = 1) as top_need_priority_mean,
        sum(count_answers) as count_need_answers
    from ranked_needs
    group by dimension, class_code
),

measured_classes as (
    select
        shared_totals.*,
        class_texts.top_category,
        class_texts.top_industry,
        class_texts.top_region,
        need_texts.top_need_type,
        need_texts.top_need_priority_mean,
        need_texts.count_need_answers,
        need_texts.top_need_en,
        need_texts.top_need_zh,
        need_texts.needs_en,
        need_texts.needs_zh,
        profile_rules.drift_months,
        shared_totals.count_customers < profile_rules.min_customers as is_thin,
        {{ mean_of('shared_totals.count_customers', 'shared_totals.count_all_customers') }}
            as share_of_customers,
        {{ mean_of('shared_totals.revenue_12_months_amount', 'shared_totals.all_revenue_amount') }}
            as share_of_revenue,
        {{ mean_of('shared_totals.margin_12_months_amount', 'shared_totals.all_margin_amount') }}
            as share_of_margin,
        -- a loss on more returned than bought is not a margin of 100 %
        {{ mean_of(
            'shared_totals.margin_12_months_amount',
            'greatest(shared_totals.costed_revenue_amount, 0)',
        ) }} as margin_rate,
        {{ mean_of('shared_totals.count_orders', 'shared_totals.count_customers') }}
            as orders_12_months_mean,
        -- decimals divide as doubles: six decimals bring an exact half back before it is rounded
        {{ to_amount(
            'cast(shared_totals.ordered_amount / nullif(shared_totals.count_orders, 0)'
            ~ ' as decimal(28, 6))'
        ) }} as average_order_amount,
        {{ mean_of('shared_totals.overdue_amount', 'shared_totals.open_balance_amount') }}
            as overdue_rate,
        {{ mean_of('shared_totals.timed_amount_days', 'shared_totals.timed_amount') }}
            as days_to_pay_mean,
        {{ mean_of('shared_totals.csat_score_rate_total', 'shared_totals.count_csat_answers') }}
            as csat_score_rate_mean,
        100 * {{ mean_of(
            '(shared_totals.count_promoters - shared_totals.count_detractors)',
            'shared_totals.count_nps_answers',
        ) }} as nps_score,
        100 * {{ mean_of('shared_totals.count_complaints', 'shared_totals.count_orders') }}
            as complaints_per_100_orders,
        case
            when dimensions_before.dimension is not null
                then coalesce(counts_before.count_customers, 0)
        end as count_customers_before,
        case
            when dimensions_before.dimension is not null
                then coalesce(
                    {{ mean_of(
                        'counts_before.count_customers', 'counts_before.count_all_customers'
                    ) }},
                    0
                )
        end as share_of_customers_before
    from shared_totals
    cross join profile_rules
    left join class_texts
        on
            shared_totals.dimension = class_texts.dimension
            and shared_totals.class_code = class_texts.class_code
    left join need_texts
        on
            shared_totals.dimension = need_texts.dimension
            and shared_totals.class_code = need_texts.class_code
    left join counts_before
        on
            shared_totals.dimension = counts_before.dimension
            and shared_totals.class_code = counts_before.class_code
    left join dimensions_before
        on shared_totals.dimension = dimensions_before.dimension
),

labelled_classes as (
    select
        measured_classes.*,
        profile_dimensions.dimension_order,
        profile_dimensions.label_en as dimension_label_en,
        profile_dimensions.label_zh as dimension_label_zh,
        {%- for language in ['en', 'zh'] %}
            case
                when measured_classes.class_code = 'none'
                    then profile_dimensions.none_label_{{ language }}
                else
                    coalesce(
                        measured_classes.class_label_{{ language }},
                        code_labels.label_{{ language }},
                        measured_classes.class_code
                    )
            end as label_{{ language }},
        {%- endfor %}
        measured_classes.count_customers - measured_classes.count_customers_before as count_change
    from measured_classes
    inner join profile_dimensions on measured_classes.dimension = profile_dimensions.dimension
    left join code_labels
        on
            measured_classes.dimension = code_labels.dimension
            and measured_classes.class_code = code_labels.code
),

clause_texts as (
    select
        labelled_classes.dimension,
        labelled_classes.class_code,
        profile_clauses.clause_order,
        {%- for language in ['en', 'zh'] %}
            case profile_clauses.clause
                {%- for clause, (_, numbers) in clauses.items() %}
                    when '{{ clause }}'
                        then {{ fill_in('profile_clauses.clause_' ~ language, numbers) }}
                {%- endfor %}
            end as clause_{{ language }},
        {%- endfor %}
        case profile_clauses.clause
            {%- for clause, (is_known, _) in clauses.items() %}
                when '{{ clause }}' then {{ is_known }}
            {%- endfor %}
        end as is_known
    from labelled_classes
    cross join profile_clauses
),

portraits as (
    select
        {%- for language, mark in {'en': '; ', 'zh': ';'}.items() %}
            {{ join_texts('clause_' ~ language, mark, 'clause_order') }}
                as portrait_{{ language }},
        {%- endfor %}
        dimension,
        class_code
    from clause_texts
    where is_known
    group by dimension, class_code
),

final as (
    select
        labelled_classes.dimension,
        labelled_classes.class_code,
        {{ as_of_date() }} as as_of,
        labelled_classes.currency,
        labelled_classes.dimension_order,
        labelled_classes.dimension_label_en,
        labelled_classes.dimension_label_zh,
        labelled_classes.label_en as class_label_en,
        labelled_classes.label_zh as class_label_zh,
        labelled_classes.is_thin,
        -- size and value
        cast(labelled_classes.count_customers as integer) as count_customers,
        labelled_classes.share_of_customers,
        cast(labelled_classes.revenue_12_months_amount as decimal(18, 2))
            as revenue_12_months_amount,
        labelled_classes.share_of_revenue,
        cast(labelled_classes.margin_12_months_amount as decimal(18, 2))
            as margin_12_months_amount,
        labelled_classes.share_of_margin,
        labelled_classes.margin_rate,
        -- behaviour
        labelled_classes.gap_median_days,
        labelled_classes.orders_12_months_mean,
        labelled_classes.average_order_amount,
        cast(labelled_classes.weight_tonnes as decimal(18, 4)) as weight_12_months_tonnes,
        labelled_classes.top_category as top_categories,
        -- payment
        cast(labelled_classes.open_balance_amount as decimal(18, 2)) as open_balance_amount,
        cast(labelled_classes.overdue_amount as decimal(18, 2)) as overdue_amount,
        labelled_classes.overdue_rate,
        labelled_classes.days_to_pay_mean,
        cast(labelled_classes.timed_amount as decimal(18, 2)) as timed_payments_amount,
        -- satisfaction and needs
        labelled_classes.csat_score_rate_mean,
        cast(labelled_classes.count_csat_answers as integer) as count_csat_answers,
        labelled_classes.nps_score,
        cast(labelled_classes.count_nps_answers as integer) as count_nps_answers,
        labelled_classes.complaints_per_100_orders,
        labelled_classes.top_need_type,
        labelled_classes.top_need_priority_mean,
        labelled_classes.needs_en,
        labelled_classes.needs_zh,
        cast(labelled_classes.count_need_answers as integer) as count_need_answers,
        -- who they are
        labelled_classes.top_industry as top_industries,
        labelled_classes.top_region as top_regions,
        -- drift
        cast(labelled_classes.count_customers_before as integer) as count_customers_before,
        cast(labelled_classes.count_change as integer) as count_customers_change,
        labelled_classes.share_of_customers - labelled_classes.share_of_customers_before
            as share_of_customers_change,
        concat(labelled_classes.label_en, ': ', portraits.portrait_en, '.') as portrait_en,
        concat(labelled_classes.label_zh, ':', portraits.portrait_zh, '。') as portrait_zh
    from labelled_classes
    left join portraits
        on
            labelled_classes.dimension = portraits.dimension
            and labelled_classes.class_code = portraits.class_code
)

select * from final
