with customers as (
    select * from {{ ref('dim_customers') }}
),

scores as (
    select * from {{ rows_of_this_month('int_credit_scores') }}
),

months as (
    select * from {{ rows_of_this_month('int_credit_months') }}
    where is_active and not is_in_default
),

card_points as (
    select * from {{ ref('int_credit_card_points') }}
),

grades as (
    select * from {{ ref('credit_grades') }}
    where {{ is_in_force() }}
),

score_bases as (
    select * from {{ ref('credit_score_bases') }}
    where {{ is_in_force() }}
),

reason_texts as (
    select * from {{ ref('credit_reason_texts') }}
    where {{ is_in_force() }}
),

default_rules as (
    select * from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
),

code_labels as (
    select * from {{ ref('code_labels') }}
    where {{ is_in_force() }}
),

{{ valued_points_ctes() }},

-- the variables that cost points, the dearest first
ranked_points as (
    select
        *,
        row_number() over (
            partition by customer_id
            order by points_lost desc, variable_no asc
        ) as reason_no
    from valued_points
    -- a bin as good as the book or better is no reason, also where another is better still
    where points_lost > 0 and woe < 0
),

point_reasons as (
    select
        ranked_points.customer_id,
        ranked_points.reason_no,
        ranked_points.variable as reason_code,
        {%- for language in ['en', 'zh'] %}
            case
                when ranked_points.number_value is null and ranked_points.level_value is null
                    then reason_texts.missing_{{ language }}
                else {{ fill_in('reason_texts.reason_' ~ language, {
                    'value': 'coalesce(code_labels.label_' ~ language ~ ', ranked_points.level_value, '
                        ~ with_decimals(
                            'ranked_points.number_value * reason_texts.shown_times',
                            'reason_texts.shown_decimals'
                        ) ~ ')',
                }) }}
            end as reason_{{ language }},
        {%- endfor %}
        ranked_points.points_lost
    from ranked_points
    inner join reason_texts on ranked_points.variable = reason_texts.code
    left join code_labels
        on
            ranked_points.variable = code_labels.domain
            and ranked_points.level_value = code_labels.code
    where ranked_points.reason_no <= 4
),

reasons_side_by_side as (
    select
        {%- for number in [1, 2, 3, 4] %}
            {%- for column in ['reason_code', 'points_lost', 'reason_en', 'reason_zh'] %}
                max({{ column }}) filter (where reason_no = {{ number }})
                    as {{ column }}_{{ number }},
            {%- endfor %}
        {%- endfor %}
        customer_id
    from point_reasons
    group by customer_id
),

lost_totals as (
    select
        customer_id,
        sum(points_lost) as points_lost
    from valued_points
    group by customer_id
),

-- without a reason in points one sentence says what the model went by
plain_reasons as (
    select
        customers.customer_id,
        case
            when scores.customer_id is null then 'no_document'
            when scores.model_basis = 'none' then 'no_recent_document'
            when scores.model_basis = 'roll_rate' then scores.roll_state
            when scores.model_basis = 'scorecard' and lost_totals.points_lost > 0 then 'like_book'
            when scores.model_basis = 'scorecard' then 'at_best'
        end as reason_code,
        scores.model_pd_probability
    from customers
    left join scores on customers.customer_id = scores.customer_id
    left join lost_totals on customers.customer_id = lost_totals.customer_id
),

explained as (
    select
        customers.customer_id,
        scores.score,
        scores.pd_probability,
        scores.grade,
        coalesce(scores.score_basis, 'none') as score_basis,
        scores.model_version,
        coalesce(scores.model_basis, 'none') as model_basis,
        scores.model_pd_probability,
        scores.model_grade,
        coalesce(scores.is_in_default, false) as is_in_default,
        scores.in_default_since_on,
        scores.override_status,
        scores.override_grade,
        scores.override_reviewer,
        scores.override_reason_en,
        scores.override_reason_zh,
        scores.override_decided_on,
        scores.override_expires_on,
        coalesce(
            reasons_side_by_side.reason_code_1, scores.default_rule_code, plain_reasons.reason_code
        ) as reason_code_1,
        reasons_side_by_side.points_lost_1,
        {%- for language in ['en', 'zh'] %}
            coalesce(
                reasons_side_by_side.reason_{{ language }}_1,
                case
                    when scores.default_rule_code is not null
                        then {{ fill_in('default_rules.reason_' ~ language, {
                            'amount': as_money('scores.default_amount'),
                            'currency': reporting_currency(),
                            'days_over': 'default_rules.days_overdue_over',
                            'default_on': 'scores.default_on',
                        }) }}
                end,
                {{ fill_in('reason_texts.reason_' ~ language, {
                    'pd': cut_percentage('plain_reasons.model_pd_probability'),
                }) }}
            ) as reason_{{ language }}_1,
        {%- endfor %}
        {%- for number in [2, 3, 4] %}
            {%- for column in ['reason_code', 'points_lost', 'reason_en', 'reason_zh'] %}
                reasons_side_by_side.{{ column }}_{{ number }},
            {%- endfor %}
        {%- endfor %}
        customers.customer_name
    from customers
    left join scores on customers.customer_id = scores.customer_id
    left join reasons_side_by_side
        on customers.customer_id = reasons_side_by_side.customer_id
    left join plain_reasons on customers.customer_id = plain_reasons.customer_id
    left join reason_texts on plain_reasons.reason_code = reason_texts.code
    left join default_rules on scores.default_rule_code = default_rules.rule_code
),

final as (
    select
        explained.customer_id,
        {{ as_of_date() }} as as_of,
        explained.grade,
        -- a default is a fact of payments: who is graded D by a reviewer is not called one
        {%- for language in ['en', 'zh'] %}
            case
                when grades.is_default and not explained.is_in_default
                    then {{ fill_in('grades.override_label_' ~ language, {
                        'reviewer': 'explained.override_reviewer',
                    }) }}
                else grades.label_{{ language }}
            end as grade_label_{{ language }},
        {%- endfor %}
        grades.grade_order,
        explained.pd_probability,
        explained.score,
        explained.score_basis,
        score_bases.label_en as score_basis_label_en,
        score_bases.label_zh as score_basis_label_zh,
        explained.model_version,
        explained.model_basis,
        explained.model_grade,
        explained.model_pd_probability,
        explained.is_in_default,
        explained.in_default_since_on as default_on,
        {%- for number in [1, 2, 3, 4] %}
            explained.reason_code_{{ number }},
            cast(explained.points_lost_{{ number }} as integer) as points_lost_{{ number }},
            explained.reason_en_{{ number }},
            explained.reason_zh_{{ number }},
        {%- endfor %}
        explained.override_status,
        explained.override_grade,
        explained.override_reviewer,
        explained.override_reason_en,
        explained.override_reason_zh,
        explained.override_decided_on,
        explained.override_expires_on
    from explained
    left join grades on explained.grade = grades.grade
    inner join score_bases on explained.score_basis = score_bases.score_basis
)

select * from final
