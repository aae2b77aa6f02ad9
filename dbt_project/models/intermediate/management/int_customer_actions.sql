{#- Of a limit above the recommended one, the part that is in use. -#}
{%- set in_use_of_what_goes -%}
    least(credit_limits.exposure_amount, credit_limits.credit_limit_amount)
                - credit_limits.recommended_limit_amount
{%- endset -%}

with customers as (
    select * from {{ ref('dim_customers') }}
),

segments as (
    select * from {{ ref('customer_segments') }}
),

lifecycles as (
    select * from {{ rows_of_this_month('customer_lifecycle') }}
),

customer_values as (
    select * from {{ ref('customer_clv') }}
),

balances as (
    select * from {{ ref('receivables_balances') }}
    where currency = {{ reporting_currency() }}
),

credit_limits as (
    select * from {{ ref('credit_limits') }}
),

credit_scores as (
    select * from {{ ref('credit_scores') }}
),

expected_losses as (
    select * from {{ ref('expected_credit_loss') }}
    where currency = {{ reporting_currency() }}
),

credit_alerts as (
    select * from {{ ref('credit_alerts') }}
    where kind = 'stop_shipment'
),

late_complaints as (
    select * from {{ ref('complaint_cases') }}
    where is_late
),

follow_ups as (
    select * from {{ ref('satisfaction_follow_ups') }}
    where status in ('due', 'overdue')
),

visits as (
    select
        customer_id,
        max(occurred_on) as last_visited_on
    from {{ ref('fct_interactions') }}
    where kind = 'visit'
    group by customer_id
),

product_gaps as (
    select * from {{ ref('customer_product_gaps') }}
    where gap_rank = 1
),

action_rules as (
    select * from {{ ref('action_rules') }}
    where {{ is_in_force() }}
),

action_conflicts as (
    select * from {{ ref('action_conflicts') }}
    where {{ is_in_force() }}
),

action_owners as (
    select * from {{ ref('action_owners') }}
    where {{ is_in_force() }}
),

selection_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'action_selection' and {{ is_in_force() }}
),

visit_texts as (
    select
        code,
        sentence_en,
        sentence_zh
    from {{ ref('performance_texts') }}
    where area = 'visit_record' and {{ is_in_force() }}
),

book as (
    select
        {{ margin_rate_of_the_book() }} as margin_rate
    from segments
),

states as (
    select
        segments.*,
        lifecycles.tenure_days,
        balances.overdue_amount,
        balances.oldest_overdue_days,
        -- the margin of a year of the customer, net of returns: who has gone is worth what an
        -- average year brought
        case
            when segments.lifecycle in ('dormant', 'lost')
                then
                    (
                        customer_values.historical_margin_amount
                        - customer_values.historical_returns_amount
                    ) / greatest(
                        1, (customer_values.tenure_days - segments.recency_days) / 365.0
                    )
            else segments.margin_12_months_amount
        end as year_margin_amount,
        case
            when segments.revenue_12_months_amount > 0 and segments.margin_12_months_amount > 0
                then
                    {{ mean_of(
                        'segments.margin_12_months_amount', 'segments.revenue_12_months_amount'
                    ) }}
            else book.margin_rate
        end as margin_rate,
        credit_scores.grade,
        credit_scores.is_in_default,
        coalesce(credit_scores.pd_probability, 0)
        * coalesce(expected_losses.loss_given_default_rate, 0) as loss_rate
    from segments
    cross join book
    inner join customer_values on segments.customer_id = customer_values.customer_id
    left join lifecycles on segments.customer_id = lifecycles.customer_id
    left join balances on segments.customer_id = balances.customer_id
    left join credit_scores on segments.customer_id = credit_scores.customer_id
    left join expected_losses on segments.customer_id = expected_losses.customer_id
),

complaint_totals as (
    select
        customer_id,
        count(*) as count_complaints,
        min(opened_on) as opened_on,
        min_by(category_label_en, opened_at) as category_label_en,
        min_by(category_label_zh, opened_at) as category_label_zh
    from late_complaints
    group by customer_id
),

stop_candidates as (
    select
        credit_alerts.customer_id,
        credit_alerts.amount_at_risk as told_amount,
        -- what would be lost of what would still be shipped
        credit_alerts.amount_at_risk * states.loss_rate as stake_amount,
        credit_scores.grade as class_en,
        credit_scores.grade as class_zh
    from credit_alerts
    inner join states on credit_alerts.customer_id = states.customer_id
    inner join credit_scores on credit_alerts.customer_id = credit_scores.customer_id
),

complaint_candidates as (
    select
        complaint_totals.customer_id,
        -- nothing is kept by it of who has gone: it is owed, and comes last
        case
            when states.lifecycle in ('dormant', 'lost') then 0 else states.year_margin_amount
        end as stake_amount,
        complaint_totals.count_complaints as told_count,
        complaint_totals.opened_on as told_on,
        {{ days_between('complaint_totals.opened_on', as_of_date()) }} as told_days,
        complaint_totals.category_label_en as name_en,
        complaint_totals.category_label_zh as name_zh
    from complaint_totals
    inner join states on complaint_totals.customer_id = states.customer_id
),

follow_up_candidates as (
    select
        follow_ups.customer_id,
        states.year_margin_amount as stake_amount,
        follow_ups.count_unhappy_answers as told_count,
        follow_ups.answered_on as told_on,
        {{ with_decimal_if_any('follow_ups.score') }} as name_en,
        {{ with_decimal_if_any('follow_ups.score') }} as name_zh,
        {{ with_decimal_if_any('follow_ups.scale_max') }} as other_en,
        {{ with_decimal_if_any('follow_ups.scale_max') }} as other_zh
    from follow_ups
    inner join states on follow_ups.customer_id = states.customer_id
    inner join action_rules on action_rules.action_code = 'follow_up'
    where
        states.lifecycle not in ('dormant', 'lost')
        and {{ days_between('follow_ups.answered_on', as_of_date()) }} <= action_rules.threshold
),

limit_candidates as (
    select
        credit_limits.customer_id,
        case credit_limits.advice
            when 'raise' then 'raise_limit' when 'stop' then 'close_limit' else 'tighten_limit'
        end as action_code,
        credit_limits.credit_limit_amount as told_limit_amount,
        case
            when credit_limits.advice = 'raise'
                then credit_limits.recommended_limit_amount - credit_limits.credit_limit_amount
            when credit_limits.advice = 'stop' then credit_limits.exposure_amount
            else {{ in_use_of_what_goes }}
        end as told_amount,
        {{ in_use_of_what_goes }} as in_use_amount,
        coalesce(states.overdue_amount, 0) as overdue_amount,
        states.margin_rate,
        states.loss_rate,
        credit_limits.reason_en as name_en,
        credit_limits.reason_zh as name_zh
    from credit_limits
    inner join states on credit_limits.customer_id = states.customer_id
    inner join action_rules on action_rules.action_code = 'raise_limit'
    where
        credit_limits.credit_limit_amount > 0
        and (
            credit_limits.advice in ('lower', 'stop')
            -- what is not in use needs no more
            or (
                credit_limits.advice = 'raise'
                and credit_limits.utilisation_rate >= action_rules.threshold
            )
        )
),

-- raised: the margin of one turn of what is added; lowered: what would be lost of what goes, but
-- for what is overdue, which is collected
limit_stakes as (
    select
        limit_candidates.*,
        case
            when action_code = 'raise_limit' then told_amount * margin_rate
            else greatest(in_use_amount - overdue_amount, 0) * loss_rate
        end as stake_amount
    from limit_candidates
    where told_amount > 0 or action_code = 'close_limit'
),

product_candidates as (
    select
        product_gaps.customer_id,
        product_gaps.expected_revenue_amount as told_amount,
        product_gaps.expected_revenue_amount * states.margin_rate as stake_amount,
        product_gaps.reason_en as name_en,
        product_gaps.reason_zh as name_zh
    from product_gaps
    inner join states on product_gaps.customer_id = states.customer_id
    where states.lifecycle in ('new', 'active', 'slowing', 'reactivated')
),

-- whoever was never visited waits longest
visit_candidates as (
    select
        states.customer_id,
        states.year_margin_amount as stake_amount,
        visits.last_visited_on as told_on,
        {{ days_between('visits.last_visited_on', as_of_date()) }} as told_days,
        visit_texts.sentence_en as name_en,
        visit_texts.sentence_zh as name_zh,
        states.value_tier_label_en as other_en,
        states.value_tier_label_zh as other_zh
    from states
    inner join action_rules on action_rules.action_code = 'visit'
    left join visits on states.customer_id = visits.customer_id
    inner join visit_texts
        on
            visit_texts.code
            = case when visits.customer_id is null then 'none' else 'visited' end
    where
        states.value_tier = 'high'
        and states.lifecycle <> 'lost'
        and {{ has_feed('interactions') }}
        and coalesce(
            {{ days_between('visits.last_visited_on', as_of_date()) }} >= action_rules.threshold,
            true
        )
),

followed_candidates as (
    {%- for action in followed_actions() %}
        select
            states.customer_id,
            action_rules.action_code,
            {%- if action == 'collect' %}
                states.overdue_amount as told_amount,
                -- the interest of the time it is sooner, and what would be lost of it
                states.overdue_amount * (
                    states.loss_rate
                    + {{ management_parameter('capital_rate') }}
                    * {{ management_parameter('collection_days') }} / 365
                ) as stake_amount,
                cast(null as date) as told_on,
                states.oldest_overdue_days as told_days,
                cast(null as {{ dbt.type_string() }}) as class_en,
                cast(null as {{ dbt.type_string() }}) as class_zh,
            {%- else %}
                states.revenue_12_months_amount as told_amount,
                states.year_margin_amount as stake_amount,
                states.lifecycle_since_on as told_on,
                states.tenure_days as told_days,
                {%- for language in ['en', 'zh'] %}
                    {%- if action == 'reward' %}
                        states.abc_class as class_{{ language }},
                    {%- elif action == 'develop' %}
                        states.growth_class_reason_{{ language }} as class_{{ language }},
                    {%- else %}
                        states.lifecycle_label_{{ language }} as class_{{ language }},
                    {%- endif %}
                {%- endfor %}
            {%- endif %}
            states.lifecycle_reason_en as name_en,
            states.lifecycle_reason_zh as name_zh,
            states.value_tier_label_en as other_en,
            states.value_tier_label_zh as other_zh
        from states
        inner join action_rules on action_rules.action_code = '{{ action }}'
        where {{ is_due_to(action) }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

candidates as (
    {%- set texts = ['class_en', 'class_zh', 'name_en', 'name_zh', 'other_en', 'other_zh'] %}
    {%- set columns = {
        'told_amount': 'decimal(18, 2)', 'told_limit_amount': 'decimal(18, 2)',
        'told_count': 'bigint', 'told_on': 'date', 'told_days': 'bigint',
    } %}
    {%- for text in texts %}{%- do columns.update({text: dbt.type_string()}) %}{%- endfor %}
    {%- set sources = [
        ('stop_candidates', "'stop_shipment' as action_code",
            ['told_amount', 'class_en', 'class_zh']),
        ('complaint_candidates', "'fix_complaint' as action_code",
            ['told_count', 'told_on', 'told_days', 'name_en', 'name_zh']),
        ('follow_up_candidates', "'follow_up' as action_code",
            ['told_count', 'told_on', 'name_en', 'name_zh', 'other_en', 'other_zh']),
        ('limit_stakes',
            'action_code',
            ['told_amount', 'told_limit_amount', 'name_en', 'name_zh']),
        ('product_candidates', "'recommend_product' as action_code",
            ['told_amount', 'name_en', 'name_zh']),
        ('visit_candidates', "'visit' as action_code",
            ['told_on', 'told_days', 'name_en', 'name_zh', 'other_en', 'other_zh']),
        ('followed_candidates', 'action_code', ['told_amount', 'told_on', 'told_days'] + texts),
    ] %}
    {%- for source, action, known in sources %}
        select
            customer_id,
            {{ action }},
            {%- for column, type in columns.items() %}
                cast({{ column if column in known else 'null' }} as {{ type }}) as {{ column }},
            {%- endfor %}
            {{ cents_of('stake_amount') }} as stake_amount
        from {{ source }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- what costs more than it brings is not suggested; what must be done is
worthwhile_candidates as (
    select candidates.*
    from candidates
    inner join action_rules on candidates.action_code = action_rules.action_code
    where
        action_rules.is_mandatory
        or coalesce(
            candidates.stake_amount * action_rules.success_rate > action_rules.cost_amount, true
        )
),

contradictions as (
    select
        candidates.customer_id,
        candidates.action_code,
        action_conflicts.yields_to
    from worthwhile_candidates as candidates
    inner join action_conflicts on candidates.action_code = action_conflicts.action_code
    inner join worthwhile_candidates as other_candidates
        on
            candidates.customer_id = other_candidates.customer_id
            and action_conflicts.yields_to = other_candidates.action_code
),

-- of a contradictory pair the one that yields is not suggested, unless the other yields itself
yielding as (
    select distinct
        contradictions.customer_id,
        contradictions.action_code
    from contradictions
    left join contradictions as further_contradictions
        on
            contradictions.customer_id = further_contradictions.customer_id
            and contradictions.yields_to = further_contradictions.action_code
    where further_contradictions.customer_id is null
),

valued as (
    select
        candidates.*,
        action_rules.priority,
        action_rules.is_mandatory,
        action_rules.is_tracked,
        action_rules.owner_role,
        action_owners.label_en as owner_role_label_en,
        action_owners.label_zh as owner_role_label_zh,
        action_owners.cap,
        -- whose list it is on: the account manager's, or the one of the role
        case when action_owners.is_by_manager then customers.account_manager end as list_owner,
        action_rules.due_days,
        action_rules.success_rate,
        action_rules.label_en,
        action_rules.label_zh,
        {%- for language in ['en', 'zh'] %}
            action_rules.reason_{{ language }} as sentence_{{ language }},
            action_rules.step_{{ language }},
        {%- endfor %}
        cast(action_rules.cost_amount as decimal(18, 2)) as cost_amount,
        customers.account_manager,
        -- what must be done is no loss, however little hangs on it
        cast(
            case
                when
                    action_rules.is_mandatory
                    and candidates.stake_amount * action_rules.success_rate
                    < action_rules.cost_amount
                    then 0
                else candidates.stake_amount * action_rules.success_rate - action_rules.cost_amount
            end as decimal(18, 2)
        ) as expected_value_amount,
        -- kept from the action, so that its effect can be measured
        action_rules.is_tracked
        and {{ is_of_the_measured('states.abc_class', 'states.is_in_default') }}
        and {{ is_held_out('candidates.customer_id', 'candidates.action_code') }} as is_held_out
    from worthwhile_candidates as candidates
    inner join action_rules on candidates.action_code = action_rules.action_code
    inner join action_owners on action_rules.owner_role = action_owners.owner_role
    inner join customers on candidates.customer_id = customers.customer_id
    inner join states on candidates.customer_id = states.customer_id
    left join yielding
        on
            candidates.customer_id = yielding.customer_id
            and candidates.action_code = yielding.action_code
    where yielding.customer_id is null
),

{%- set order = [
    'is_mandatory desc', 'expected_value_amount desc nulls last', 'priority asc',
    'customer_id asc',
] | join(', ') %}

ranked as (
    select
        valued.*,
        row_number() over (partition by customer_id order by {{ order }}) as customer_rank,
        -- those kept out take no place
        row_number() over (
            partition by owner_role, list_owner, is_held_out order by {{ order }}
        ) as owner_rank
    from valued
),

selected as (
    select
        ranked.*,
        case
            when is_held_out then 'held_out'
            when is_mandatory or owner_rank <= cap then 'selected'
            else 'over_cap'
        end as selection
    from ranked
),

{% set values = {
    'class': 'selected.class_%s',
    'name': 'selected.name_%s',
    'other': 'selected.other_%s',
    'amount': as_grouped('selected.told_amount'),
    'limit': as_grouped('selected.told_limit_amount'),
    'count': 'selected.told_count',
    'date': 'selected.told_on',
    'days': 'selected.told_days',
    'currency': reporting_currency(),
} -%}
final as (
    select
        concat_ws(':', selected.action_code, selected.customer_id) as action_id,
        selected.customer_id,
        selected.action_code,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        selected.label_en as action_label_en,
        selected.label_zh as action_label_zh,
        cast(selected.customer_rank as integer) as customer_rank,
        case when selected.selection <> 'held_out' then cast(selected.owner_rank as integer) end
            as owner_rank,
        selected.selection,
        selection_labels.label_en as selection_label_en,
        selection_labels.label_zh as selection_label_zh,
        selected.is_mandatory,
        selected.is_tracked,
        selected.owner_role,
        selected.owner_role_label_en,
        selected.owner_role_label_zh,
        selected.account_manager,
        selected.due_days,
        {%- for language in ['en', 'zh'] %}
            {%- set told = dict(values) %}
            {%- for name in ['class', 'name', 'other'] %}
                {%- do told.update({name: values[name] % language}) %}
            {%- endfor %}
            {{ fill_in('selected.sentence_' ~ language, told) }} as reason_{{ language }},
            selected.step_{{ language }},
        {%- endfor %}
        selected.stake_amount,
        cast(selected.success_rate as double) as success_rate,
        selected.cost_amount,
        selected.expected_value_amount
    from selected
    inner join selection_labels on selected.selection = selection_labels.code
)

select * from final
