{%- set parameter_names = [
    'need_importance_from', 'need_urgency_from', 'need_met_from', 'late_delivery_rate',
    'contract_rate',
] -%}
{%- set window_start = add_months(as_of_date(), -voice_window_months()) -%}

with voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

need_type_labels as (
    select * from {{ ref('need_type_labels') }}
    where {{ is_in_force() }}
),

parameters as (
    select * from {{ parameters_in_force('voice_parameters', parameter_names) }}
),

points as (
    select
        parameter,
        code,
        value
    from {{ ref('voice_parameters') }}
    where parameter in ('complaint_points', 'purchase_points') and {{ is_in_force() }}
),

-- what it says of its needs; importance and urgency on 1 to 5
survey_needs as (
    select
        customer_id,
        question_code as need_code,
        min(need_type) as need_type,
        'survey' as origin,
        count(*) as n,
        {{ mean_of('sum(importance)', 'count(importance)') }} as importance,
        {{ mean_of('sum(urgency)', 'count(urgency)') }} as urgency,
        {{ mean_of('sum(score_rate)', 'count(score_rate)') }} as fulfilled_rate,
        0 as count_open,
        cast(null as double) as share_rate
    from {{ ref('fct_survey_responses') }}
    where need_type is not null and answered_on > {{ window_start }}
    group by customer_id, question_code
),

complaint_needs as (
    select
        complaints.customer_id,
        voice_texts.member as need_code,
        cast(null as {{ dbt.type_string() }}) as need_type,
        'complaint' as origin,
        count(*) as n,
        max(points.value) as importance,
        max(points.value) as urgency,
        cast(null as double) as fulfilled_rate,
        count(*) filter (where complaints.is_open) as count_open,
        cast(null as double) as share_rate
    from {{ ref('fct_complaints') }} as complaints
    inner join voice_texts
        on complaints.category = voice_texts.code and voice_texts.area = 'complaint_need'
    left join points
        on complaints.severity = points.code and points.parameter = 'complaint_points'
    where complaints.opened_on > {{ window_start }}
    group by complaints.customer_id, voice_texts.member
),

purchase_shares as (
    select
        customer_id,
        'late_delivery' as origin,
        count(*) as n,
        {{ mean_of('count(*) filter (where days_late > 0)', 'count(*)') }} as share_rate
    from {{ ref('fct_deliveries') }}
    where delivered_on > {{ window_start }} and days_late is not null
    group by customer_id
    union all
    select
        customer_id,
        'contract' as origin,
        count(*) as n,
        {{ mean_of("count(*) filter (where sale_type = 'contract')", 'count(*)') }} as share_rate
    from {{ ref('fct_orders') }}
    where ordered_on > {{ window_start }} and not is_cancelled and sale_type is not null
    group by customer_id
),

-- late deliveries show a need not met, contracts one that it has bound itself for
purchase_needs as (
    select
        purchase_shares.customer_id,
        voice_texts.member as need_code,
        cast(null as {{ dbt.type_string() }}) as need_type,
        purchase_shares.origin,
        purchase_shares.n,
        points.value as importance,
        case when purchase_shares.origin = 'late_delivery' then points.value end as urgency,
        cast(null as double) as fulfilled_rate,
        0 as count_open,
        purchase_shares.share_rate
    from purchase_shares
    cross join parameters
    inner join voice_texts
        on purchase_shares.origin = voice_texts.code and voice_texts.area = 'purchase_need'
    left join points
        on purchase_shares.origin = points.code and points.parameter = 'purchase_points'
    where
        (
            purchase_shares.origin = 'late_delivery'
            and purchase_shares.share_rate >= parameters.late_delivery_rate
        )
        or (
            purchase_shares.origin = 'contract'
            and purchase_shares.share_rate >= parameters.contract_rate
        )
),

all_needs as (
    select * from survey_needs
    union all
    select * from complaint_needs
    union all
    select * from purchase_needs
),

worded_needs as (
    select
        {%- for language in ['en', 'zh'] %}
            {{ fill_in('texts.label_' ~ language, {
                'n': 'all_needs.n',
                'open': 'all_needs.count_open',
                'importance': with_one_decimal('all_needs.importance'),
                'urgency': with_one_decimal('all_needs.urgency'),
                'fulfilled': as_whole('100 * all_needs.fulfilled_rate'),
                'rate': as_whole('100 * all_needs.share_rate'),
            }) }} as evidence_{{ language }},
        {%- endfor %}
        all_needs.*
    from all_needs
    left join voice_texts as texts
        on all_needs.origin = texts.code and texts.area = 'need_evidence'
),

-- what it says first, what it complains of and does where it says nothing, or says less
joined_needs as (
    select
        customer_id,
        need_code,
        max(need_type) as stated_type,
        max(importance) as importance,
        max(urgency) as urgency,
        max(fulfilled_rate) as fulfilled_rate,
        cast(coalesce(max(case when origin = 'survey' then n end), 0) as integer)
            as count_survey_answers,
        cast(coalesce(max(case when origin = 'complaint' then n end), 0) as integer)
            as count_complaints,
        coalesce(max(case when origin = 'complaint' then count_open end), 0) as count_open,
        max(case when origin = 'late_delivery' then share_rate end) as late_delivery_rate,
        cast(sum(n) as integer) as n,
        {{ join_texts('evidence_en', '; ', 'origin') }} as evidence_en,
        {{ join_texts('evidence_zh', ';', 'origin') }} as evidence_zh
    from worded_needs
    group by customer_id, need_code
),

judged_needs as (
    select
        joined_needs.*,
        coalesce(joined_needs.stated_type, need_types.member) as need_type,
        case
            when joined_needs.importance is null or joined_needs.urgency is null then 'not_known'
            when
                joined_needs.importance >= parameters.need_importance_from
                and joined_needs.urgency >= parameters.need_urgency_from
                then 'do_now'
            when joined_needs.importance >= parameters.need_importance_from then 'plan'
            when joined_needs.urgency >= parameters.need_urgency_from then 'quick_fix'
            else 'watch'
        end as quadrant,
        -- a complaint or late goods speak against what was ticked; contracts alone tell neither
        case
            when joined_needs.count_complaints > 0 or joined_needs.late_delivery_rate is not null
                then false
            when joined_needs.fulfilled_rate is not null
                then joined_needs.fulfilled_rate >= parameters.need_met_from
        end as is_met
    from joined_needs
    cross join parameters
    left join voice_texts as need_types
        on joined_needs.need_code = need_types.code and need_types.area = 'need_type_of'
),

final as (
    select
        judged_needs.customer_id,
        judged_needs.need_code,
        coalesce(need_texts.label_en, judged_needs.need_code) as need_label_en,
        coalesce(need_texts.label_zh, judged_needs.need_code) as need_label_zh,
        {{ as_of_date() }} as as_of,
        judged_needs.need_type,
        need_type_labels.label_en as need_type_label_en,
        need_type_labels.label_zh as need_type_label_zh,
        round(judged_needs.importance, 6) as importance,
        round(judged_needs.urgency, 6) as urgency,
        round(judged_needs.importance * judged_needs.urgency, 6) as priority_score,
        judged_needs.quadrant,
        quadrant_texts.label_en as quadrant_label_en,
        quadrant_texts.label_zh as quadrant_label_zh,
        round(judged_needs.fulfilled_rate, 6) as fulfilled_rate,
        judged_needs.is_met,
        judged_needs.count_survey_answers,
        judged_needs.count_complaints,
        judged_needs.n,
        judged_needs.evidence_en,
        judged_needs.evidence_zh
    from judged_needs
    left join voice_texts as need_texts
        on judged_needs.need_code = need_texts.code and need_texts.area = 'question'
    left join need_type_labels on judged_needs.need_type = need_type_labels.need_type
    left join voice_texts as quadrant_texts
        on judged_needs.quadrant = quadrant_texts.code and quadrant_texts.area = 'quadrant'
)

select * from final
