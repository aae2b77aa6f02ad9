{%- set numbers = {
    'value': with_decimals(
        '(judged_rules.measured_value * judged_rules.shown_times)',
        'judged_rules.shown_decimals',
    ),
    'bound': with_decimals(
        '(judged_rules.bound * judged_rules.shown_times)', 'judged_rules.shown_decimals'
    ),
} -%}
{%- set counts = {
    'count_rules': 'rule_totals.count_rules', 'count_unknown': 'rule_totals.count_rules_unknown',
} -%}

with measures as (
    select * from {{ ref('strategic_measures') }}
),

rules as (
    select * from {{ ref('strategic_screening') }}
    where {{ is_in_force() }}
),

customer_rules as (
    select
        measures.customer_id,
        rules.*,
        {{ screened_value('rules.measure', 'measures') }} as measured_value
    from measures
    cross join rules
),

judged_rules as (
    select
        *,
        case
            when measured_value is null then missing_policy = 'pass'
            when comparison = 'at_least' then measured_value >= bound
            else measured_value <= bound
        end as is_passed
    from customer_rules
),

-- a rule that is passed is not spoken of
told_rules as (
    select
        customer_id,
        rule_order,
        rule,
        is_passed,
        measured_value is null as is_unknown,
        case
            when not is_passed and measured_value is null then unknown_en
            when not is_passed then {{ fill_in('sentence_en', numbers) }}
        end as failed_sentence_en,
        case
            when not is_passed and measured_value is null then unknown_zh
            when not is_passed then {{ fill_in('sentence_zh', numbers) }}
        end as failed_sentence_zh
    from judged_rules
),

passed_sentence as (
    select
        max(sentence_en) as sentence_en,
        max(sentence_zh) as sentence_zh
    from {{ ref('strategic_stages') }}
    where stage_reason = 'screened_in' and {{ is_in_force() }}
),

rule_totals as (
    select
        customer_id,
        count(*) as count_rules,
        count(*) filter (where is_passed) as count_rules_passed,
        count(*) filter (where is_passed and is_unknown) as count_rules_unknown,
        {{ join_texts('case when not is_passed then rule end', ', ', 'rule_order') }}
            as failed_rules,
        {{ join_texts('failed_sentence_en', '; ', 'rule_order') }}
            as failed_sentences_en,
        {{ join_texts('failed_sentence_zh', '；', 'rule_order') }}
            as failed_sentences_zh
    from told_rules
    group by customer_id
),

final as (
    select
        rule_totals.customer_id,
        {{ as_of_date() }} as as_of,
        cast(rule_totals.count_rules as integer) as count_rules,
        cast(rule_totals.count_rules_passed as integer) as count_rules_passed,
        -- passed only because nothing is known
        cast(rule_totals.count_rules_unknown as integer) as count_rules_unknown,
        rule_totals.count_rules_passed = rule_totals.count_rules as is_screened_in,
        rule_totals.failed_rules,
        coalesce(
            rule_totals.failed_sentences_en, {{ fill_in('passed_sentence.sentence_en', counts) }}
        ) as screening_reason_en,
        coalesce(
            rule_totals.failed_sentences_zh, {{ fill_in('passed_sentence.sentence_zh', counts) }}
        ) as screening_reason_zh
    from rule_totals
    cross join passed_sentence
)

select * from final
