{%- set parameter_names = ['repurchase_days', 'full_tenure_days', 'loyalty_known_weight'] -%}
{%- set components = ['repeat_purchase', 'share_of_demand', 'tenure', 'recommendation'] -%}
{%- set window_start = add_months(as_of_date(), -voice_window_months()) -%}

with customers as (
    select * from {{ ref('dim_customers') }}
),

voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

parameters as (
    select * from {{ parameters_in_force('voice_parameters', parameter_names) }}
),

weights as (
    select
        {%- for component in components %}
            max(case when code = '{{ component }}' then value end) as {{ component }}_weight,
        {%- endfor %}
        count(*) as count_components
    from {{ ref('voice_parameters') }}
    where parameter = 'loyalty_weight' and {{ is_in_force() }}
),

survey_responses as (
    select * from {{ ref('fct_survey_responses') }}
    where score_rate is not null and answered_on > {{ window_start }}
),

order_days as (
    select
        customer_id,
        ordered_on,
        lead(ordered_on) over (partition by customer_id order by ordered_on) as next_ordered_on
    from (
        select distinct
            customer_id,
            ordered_on
        from {{ ref('fct_orders') }}
        where not is_cancelled
    ) as days
),

-- a purchase can be judged once the days for another are over
repurchases as (
    select
        order_days.customer_id,
        count(*) as count_purchases,
        count(*) filter (
            where
            {{ days_between('order_days.ordered_on', 'order_days.next_ordered_on') }}
            <= parameters.repurchase_days
        ) as count_repurchased
    from order_days
    cross join parameters
    where
        {{ days_between('order_days.ordered_on', as_of_date()) }} >= parameters.repurchase_days
        and {{ days_between('order_days.ordered_on', window_start) }}
        < parameters.repurchase_days
    group by order_days.customer_id
),

tenures as (
    select
        customer_id,
        tenure_days
    from {{ rows_of_this_month('customer_lifecycle') }}
),

-- tenure runs on and what was repeated was judged before: who is lost has no score
lost_customers as (
    select
        customer_id,
        lifecycle_since_on as lost_since_on
    from {{ rows_of_this_month('customer_segment_history') }}
    where lifecycle = 'lost'
),

latest_answers as (
    select
        survey_responses.customer_id,
        case when voice_texts.code is null then 'recommendation' else 'share_of_demand' end
            as component,
        survey_responses.score_rate,
        row_number() over (
            partition by
                survey_responses.customer_id,
                case when voice_texts.code is null then survey_responses.measure end
            order by
                survey_responses.answered_at desc,
                survey_responses.response_id desc,
                survey_responses.question_code asc
        ) as place
    from survey_responses
    left join voice_texts
        on
            survey_responses.question_code = voice_texts.code
            and voice_texts.area = 'share_of_demand_question'
    where survey_responses.measure = 'nps' or voice_texts.code is not null
),

survey_components as (
    select
        customer_id,
        max(case when component = 'recommendation' then cast(score_rate as double) end)
            as recommendation,
        max(case when component = 'share_of_demand' then cast(score_rate as double) end)
            as share_of_demand
    from latest_answers
    where place = 1
    group by customer_id
),

-- what it says of our product, our service and our brand
scorecards as (
    select
        {%- for side in ['product', 'service', 'brand'] %}
            {{ mean_of(
                "sum(case when voice_texts.member = '" ~ side
                ~ "' then survey_responses.score_rate end)",
                "count(case when voice_texts.member = '" ~ side
                ~ "' then survey_responses.score_rate end)",
            ) }} as {{ side }}_score,
            count(
                case when voice_texts.member = '{{ side }}' then survey_responses.score_rate end
            ) as count_{{ side }}_answers,
        {%- endfor %}
        survey_responses.customer_id
    from survey_responses
    inner join voice_texts
        on
            survey_responses.question_code = voice_texts.code
            and voice_texts.area = 'scorecard_item'
    group by survey_responses.customer_id
),

asked_questions as (
    select
        count(*) filter (where measure = 'nps') > 0 as is_recommendation_asked,
        count(*) filter (
            where question_code in (
                select code from voice_texts
                where area = 'share_of_demand_question'
            )
        ) > 0 as is_share_asked
    from survey_responses
),

joined_components as (
    select
        customers.customer_id,
        repurchases.count_purchases,
        repurchases.count_repurchased,
        {{ mean_of('repurchases.count_repurchased', 'repurchases.count_purchases') }}
            as repeat_purchase,
        survey_components.share_of_demand,
        tenures.tenure_days,
        -- least() would pass over an unknown tenure
        case
            when tenures.tenure_days is not null
                then least(tenures.tenure_days / parameters.full_tenure_days, 1.0)
        end as tenure,
        survey_components.recommendation,
        lost_customers.lost_since_on,
        scorecards.product_score,
        scorecards.service_score,
        scorecards.brand_score,
        scorecards.count_product_answers,
        scorecards.count_service_answers,
        scorecards.count_brand_answers,
        parameters.loyalty_known_weight,
        weights.*,
        case
            when repurchases.count_purchases > 0 then 'known'
            when {{ has_feed('orders') }} or {{ has_feed('invoices') }} then 'no_purchase'
            else 'no_feed'
        end as repeat_purchase_status,
        case
            when survey_components.share_of_demand is not null then 'known'
            when not {{ has_feed('survey_responses') }} then 'no_feed'
            when not asked_questions.is_share_asked then 'not_asked'
            else 'no_answer'
        end as share_of_demand_status,
        case
            when survey_components.recommendation is not null then 'known'
            when not {{ has_feed('survey_responses') }} then 'no_feed'
            when not asked_questions.is_recommendation_asked then 'not_asked'
            else 'no_answer'
        end as recommendation_status
    from customers
    cross join parameters
    cross join weights
    cross join asked_questions
    left join repurchases on customers.customer_id = repurchases.customer_id
    left join tenures on customers.customer_id = tenures.customer_id
    left join lost_customers on customers.customer_id = lost_customers.customer_id
    left join survey_components on customers.customer_id = survey_components.customer_id
    left join scorecards on customers.customer_id = scorecards.customer_id
),

weighed_components as (
    select
        *,
        {% for component in components -%}
            case when {{ component }} is null then 0 else {{ component }}_weight end
            {{- ' + ' if not loop.last }}
        {% endfor %} as known_weight,
        {% for component in components -%}
            coalesce({{ component }}, 0) * {{ component }}_weight{{ ' + ' if not loop.last }}
        {% endfor %} as weighed_sum
    from joined_components
),

judged_customers as (
    select
        *,
        case
            when lost_since_on is not null then 'lost'
            when known_weight >= loyalty_known_weight then 'known'
            else 'too_few'
        end as status
    from weighed_components
),

final as (
    select
        judged_customers.customer_id,
        {{ as_of_date() }} as as_of,
        cast(coalesce(judged_customers.count_purchases, 0) as integer) as count_purchases_judged,
        cast(judged_customers.count_repurchased as integer) as count_repurchased,
        round(judged_customers.repeat_purchase, 6) as repeat_purchase_rate,
        judged_customers.repeat_purchase_status,
        judged_customers.share_of_demand,
        judged_customers.share_of_demand_status,
        cast(judged_customers.tenure_days as integer) as tenure_days,
        judged_customers.recommendation,
        judged_customers.recommendation_status,
        round(judged_customers.product_score, 6) as product_score,
        round(judged_customers.service_score, 6) as service_score,
        round(judged_customers.brand_score, 6) as brand_score,
        cast(coalesce(judged_customers.count_product_answers, 0) as integer)
            as count_product_answers,
        cast(coalesce(judged_customers.count_service_answers, 0) as integer)
            as count_service_answers,
        cast(coalesce(judged_customers.count_brand_answers, 0) as integer)
            as count_brand_answers,
        round(judged_customers.known_weight, 6) as known_weight,
        case
            when judged_customers.status = 'known'
                then
                    round(
                        100 * judged_customers.weighed_sum / judged_customers.known_weight, 4
                    )
        end as loyalty_score,
        judged_customers.status,
        {%- for language in ['en', 'zh'] %}
            {{ fill_in(
                'voice_texts.label_' ~ language,
                {'lost_since_on': 'judged_customers.lost_since_on'},
            ) }} as status_label_{{ language }},
        {%- endfor %}
        judged_customers.lost_since_on
    from judged_customers
    left join voice_texts
        on
            judged_customers.status = voice_texts.code
            and voice_texts.area = 'loyalty_status'
)

select * from final
