{#- Answers summed for whom they count for, so that means and variances follow from the sums. -#}
{#- Who an answer counts for, and of whom a value is taken as the mean: a customer is a cluster of
    its answers, but for itself, whose answers are what varies. -#}
{%- set dimensions = {
    'book': ("'all'", 'customer_id'),
    'segment': ('segment', 'customer_id'),
    'customer_type': ('customer_type', 'customer_id'),
    'product_category': ('product_category', 'customer_id'),
    'customer': ('customer_id', 'response_id'),
} -%}

with survey_responses as (
    select * from {{ ref('fct_survey_responses') }}
    where score_rate is not null
),

customers as (
    select * from {{ ref('dim_customers') }}
),

segment_history as (
    select * from {{ ref('customer_segment_history') }}
),

customer_categories as (
    select * from {{ ref('int_customer_categories') }}
),

voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

profile_rules as (
    select
        promoter_from,
        detractor_to
    from {{ ref('profile_rules') }}
    where {{ is_in_force() }}
),

parameters as (
    select * from {{ parameters_in_force('voice_parameters', ['top_boxes']) }}
),

answers as (
    select
        survey_responses.response_id,
        survey_responses.customer_id,
        {{ month_start('survey_responses.answered_on') }} as month_on,
        survey_responses.measure,
        cast(
            case survey_responses.measure
                when 'nps'
                    then
                        case
                            when 10 * survey_responses.score_rate >= profile_rules.promoter_from
                                then 1
                            when 10 * survey_responses.score_rate <= profile_rules.detractor_to
                                then -1
                            else 0
                        end
                when 'csat'
                    then
                        case
                            when
                                survey_responses.score
                                > survey_responses.scale_max - parameters.top_boxes
                                then 1
                            else 0
                        end
                -- whatever its scale, told from 1 to 7
                else 1 + 6 * survey_responses.score_rate
            end as decimal(18, 6)
        ) as points
    from survey_responses
    cross join profile_rules
    cross join parameters
    inner join voice_texts
        on
            survey_responses.question_code = voice_texts.code
            and voice_texts.area = 'overall_question'
    where survey_responses.measure in ('nps', 'csat', 'ces')
),

-- what the customer was in the month it answered: a later move does not change an old answer
placed_answers as (
    select
        answers.*,
        coalesce(segment_history.rfm_segment, 'none') as segment,
        coalesce(customers.customer_type, 'none') as customer_type,
        coalesce(customer_categories.product_category, 'none') as product_category
    from answers
    left join segment_history
        on
            answers.customer_id = segment_history.customer_id
            and answers.month_on = segment_history.month_on
    left join customers on answers.customer_id = customers.customer_id
    left join customer_categories
        on
            answers.customer_id = customer_categories.customer_id
            and answers.month_on = customer_categories.month_on
),

cluster_months as (
    {% for dimension, (member, cluster) in dimensions.items() -%}
        select
            '{{ dimension }}' as dimension,
            {{ member }} as member,
            {{ cluster }} as cluster_id,
            measure,
            month_on,
            count(*) as n,
            sum(points) as points,
            sum(points * points) as own_squares
        from placed_answers
        group by {{ cluster }}, {{ member ~ ', ' if dimension != 'book' }}measure, month_on
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

months as (
    select cast({{ explode_months('first_month_on', 'last_month_on') }} as date) as month_on
    from (
        select
            min(month_on) as first_month_on,
            {{ month_start(as_of_date()) }} as last_month_on
        from answers
        having count(*) > 0
    ) as bounds
),

clusters as (
    select
        cluster_months.dimension,
        cluster_months.member,
        cluster_months.measure,
        months.month_on,
        cluster_months.cluster_id,
        sum(cluster_months.n) as n,
        cast(sum(cluster_months.points) as decimal(18, 6)) as points,
        sum(cluster_months.own_squares) as own_squares,
        sum(case when cluster_months.month_on = months.month_on then cluster_months.n else 0 end)
            as n_month,
        cast(
            sum(
                case
                    when cluster_months.month_on = months.month_on then cluster_months.points
                    else 0
                end
            ) as decimal(18, 6)
        ) as points_month,
        sum(
            case
                when cluster_months.month_on = months.month_on then cluster_months.own_squares
                else 0
            end
        ) as own_squares_month
    from cluster_months
    inner join months
        on
            cluster_months.month_on <= months.month_on
            and {{ months_between('cluster_months.month_on', 'months.month_on') }}
            < {{ voice_window_months() }}
    group by
        cluster_months.dimension,
        cluster_months.member,
        cluster_months.measure,
        months.month_on,
        cluster_months.cluster_id
),

-- sums from which the mean and the variance between clusters follow
summed_clusters as (
    select
        {%- for window, suffix in [('year', ''), ('month', '_month')] %}
            cast(sum(n{{ suffix }}) as double) as n_{{ window }},
            cast(count(*) filter (where n{{ suffix }} > 0) as double) as clusters_{{ window }},
            cast(sum(points{{ suffix }}) as double) as points_{{ window }},
            sum(power(cast(points{{ suffix }} as double), 2)) as squares_{{ window }},
            sum(cast(points{{ suffix }} as double) * n{{ suffix }}) as products_{{ window }},
            sum(power(cast(n{{ suffix }} as double), 2)) as sizes_{{ window }},
            cast(sum(own_squares{{ suffix }}) as double) as own_squares_{{ window }},
        {%- endfor %}
        dimension,
        member,
        measure,
        month_on
    from clusters
    group by dimension, member, measure, month_on
),

order_months as (
    select
        customer_id,
        month_on,
        sum(count_orders) over (
            partition by customer_id order by month_on
            rows between {{ voice_window_months() - 1 }} preceding and current row
        ) as count_orders
    from {{ ref('fct_customer_months') }}
),

known_customers as (
    select
        order_months.customer_id,
        order_months.month_on,
        coalesce(segment_history.rfm_segment, 'none') as segment,
        coalesce(customers.customer_type, 'none') as customer_type,
        coalesce(customer_categories.product_category, 'none') as product_category,
        coalesce(segment_history.lifecycle in (
            select code from voice_texts
            where area = 'risk_lifecycle'
        ), false) as is_at_risk
    from order_months
    left join segment_history
        on
            order_months.customer_id = segment_history.customer_id
            and order_months.month_on = segment_history.month_on
    left join customers on order_months.customer_id = customers.customer_id
    left join customer_categories
        on
            order_months.customer_id = customer_categories.customer_id
            and order_months.month_on = customer_categories.month_on
    where order_months.count_orders > 0
),

measures as (
    select distinct measure
    from answers
),

asked_customers as (
    select
        known_customers.*,
        measures.measure,
        clusters.cluster_id is not null as is_respondent
    from known_customers
    cross join measures
    left join clusters
        on
            known_customers.customer_id = clusters.cluster_id
            and known_customers.month_on = clusters.month_on
            and measures.measure = clusters.measure
            and clusters.dimension = 'book'
),

response_counts as (
    {% for dimension, (member, cluster) in dimensions.items() if dimension != 'customer' -%}
        select
            '{{ dimension }}' as dimension,
            {{ member }} as member,
            measure,
            month_on,
            cast(count(*) as double) as count_customers,
            cast(count(*) filter (where is_respondent) as double) as count_respondents,
            cast(count(*) filter (where is_at_risk) as double) as count_at_risk,
            cast(count(*) filter (where is_at_risk and is_respondent) as double)
                as count_at_risk_respondents
        from asked_customers
        group by {{ member ~ ', ' if dimension != 'book' }}measure, month_on
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        summed_clusters.dimension,
        summed_clusters.member,
        summed_clusters.measure,
        summed_clusters.month_on,
        {%- for window in ['year', 'month'] %}
            summed_clusters.n_{{ window }},
            summed_clusters.clusters_{{ window }},
            summed_clusters.points_{{ window }},
            summed_clusters.squares_{{ window }},
            summed_clusters.products_{{ window }},
            summed_clusters.sizes_{{ window }},
            summed_clusters.own_squares_{{ window }},
        {%- endfor %}
        response_counts.count_customers,
        response_counts.count_respondents,
        response_counts.count_at_risk,
        response_counts.count_at_risk_respondents
    from summed_clusters
    left join response_counts
        on
            summed_clusters.dimension = response_counts.dimension
            and summed_clusters.member = response_counts.member
            and summed_clusters.measure = response_counts.measure
            and summed_clusters.month_on = response_counts.month_on
)

select * from final
