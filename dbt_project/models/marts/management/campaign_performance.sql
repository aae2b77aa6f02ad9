with interactions as (
    select * from {{ ref('fct_interactions') }}
    where campaign_id is not null
),

orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled
),

effects as (
    select * from {{ ref('campaign_effects') }}
),

verdicts as (
    select
        code as verdict,
        label_en,
        label_zh,
        sentence_en,
        sentence_zh
    from {{ ref('performance_texts') }}
    where area = 'campaign_verdict' and {{ is_in_force() }}
),

return_texts as (
    select
        code,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'campaign_return' and {{ is_in_force() }}
),

campaign_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters', ['effect_days', 'min_before_days', 'interval_quantile'],
        area='campaign',
    ) }}
),

campaigns as (
    select
        campaign_id,
        min(occurred_on) as first_contact_on,
        count(*) as count_contacts,
        count(cost_amount) as count_contacts_costed,
        count(distinct customer_id) as count_reached,
        sum(cost_amount) as cost_amount
    from interactions
    group by campaign_id
),

first_orders as (
    select
        customer_id,
        min(ordered_on) as first_ordered_on
    from orders
    group by customer_id
),

-- who had bought before it began is whom it could have reached
bases as (
    select
        campaigns.campaign_id,
        count(distinct first_orders.customer_id) as count_customers,
        count(distinct interactions.customer_id) as count_customers_reached
    from campaigns
    inner join first_orders on campaigns.first_contact_on > first_orders.first_ordered_on
    left join interactions
        on
            campaigns.campaign_id = interactions.campaign_id
            and first_orders.customer_id = interactions.customer_id
    group by campaigns.campaign_id
),

measured_campaigns as (
    select
        campaign_id,
        max(last_contact_on) as last_contact_on,
        max(count_reached) filter (where measure = 'line_value') as count_compared,
        max(count_control) filter (where measure = 'line_value') as count_control,
        {%- for measure in [
            'line_value', 'order_frequency', 'revenue', 'margin_rate', 'response_rate',
            'retention_rate',
        ] %}
            max(effect) filter (where measure = '{{ measure }}') as {{ measure }}_effect,
            max(effect_low) filter (where measure = '{{ measure }}') as {{ measure }}_low,
            max(effect_high) filter (where measure = '{{ measure }}') as {{ measure }}_high,
            max(standard_error) filter (where measure = '{{ measure }}') as {{ measure }}_error,
        {%- endfor %}
        max(reached_change) filter (where measure = 'response_rate') as response_rate,
        max(control_change) filter (where measure = 'response_rate') as control_response_rate,
        max(reached_change) filter (where measure = 'retention_rate') as retention_rate,
        max(control_change) filter (where measure = 'retention_rate') as control_retention_rate,
        max(effect_status) filter (where measure = 'retention_rate') as retention_status,
        max(count_reached) filter (where measure = 'revenue') as count_compared_revenue,
        max(revenue_after_amount) filter (where measure = 'line_value') as revenue_after_amount,
        max(margin_after_rate) filter (where measure = 'line_value') as margin_after_rate,
        count(*) filter (where is_primary and effect_status = 'window_open') as count_open,
        count(*) filter (where is_primary and effect_status = 'too_spread') as count_spread,
        count(*) filter (where is_primary and effect_status = 'short_before') as count_short,
        count(*) filter (where is_primary and effect_status = 'too_few') as count_too_few,
        count(*) filter (where is_primary) as count_primary,
        count(*) filter (where is_primary and is_found and effect > 0) as count_gains,
        count(*) filter (where is_primary and is_found and effect < 0) as count_losses
    from effects
    group by campaign_id
),

-- the part of what was bought that would not have been: all of it less what it was before the rate
incremental_shares as (
    select
        measured_campaigns.*,
        cast(measured_campaigns.revenue_after_amount as double) as revenue_after,
        1 - exp(-line_value_effect) as share_added,
        1 - exp(-line_value_low) as share_added_low,
        1 - exp(-line_value_high) as share_added_high
    from measured_campaigns
),

-- what margin it would have earned at the margin rate without the campaign; the two effects count
-- as independent
incremental_margins as (
    select
        incremental_shares.*,
        revenue_after * (
            margin_after_rate - exp(-line_value_effect) * (margin_after_rate - margin_rate_effect)
        ) as margin_added,
        revenue_after * exp(-line_value_effect) * sqrt(
            power((margin_after_rate - margin_rate_effect) * line_value_error, 2)
            + power(margin_rate_error, 2)
        ) as margin_added_error
    from incremental_shares
),

amounts as (
    select
        incremental_margins.*,
        campaigns.first_contact_on,
        campaigns.count_contacts,
        campaigns.count_contacts_costed,
        campaigns.count_reached,
        cast(campaigns.cost_amount as decimal(18, 2)) as cost_amount,
        coalesce(bases.count_customers, 0) as count_customers,
        {{ mean_of('bases.count_customers_reached', 'bases.count_customers') }} as reach_rate,
        {%- for end in ['', '_low', '_high'] %}
            cast(
                incremental_margins.revenue_after * incremental_margins.share_added{{ end }}
                as decimal(18, 2)
            ) as revenue_added{{ end }}_amount,
            cast(
                incremental_margins.revenue{{ end or '_effect' }}
                * incremental_margins.count_compared_revenue as decimal(18, 2))
                as revenue_change{{ end }}_amount,
        {%- endfor %}
        cast(incremental_margins.margin_added as decimal(18, 2)) as margin_added_amount,
        cast(
            incremental_margins.margin_added
            - campaign_rules.interval_quantile * incremental_margins.margin_added_error
            as decimal(18, 2)
        ) as margin_added_low_amount,
        cast(
            incremental_margins.margin_added
            + campaign_rules.interval_quantile * incremental_margins.margin_added_error
            as decimal(18, 2)
        ) as margin_added_high_amount,
        campaign_rules.effect_days,
        campaign_rules.min_before_days,
        case
            when incremental_margins.count_open > 0 then 'too_early'
            when incremental_margins.count_spread > 0 then 'too_spread'
            when incremental_margins.count_short > 0 then 'short_before'
            when incremental_margins.count_too_few = incremental_margins.count_primary
                then 'too_few'
            when incremental_margins.count_gains > 0 and incremental_margins.count_losses > 0
                then 'mixed'
            when incremental_margins.count_gains > 0 then 'gain_found'
            when incremental_margins.count_losses > 0 then 'loss_found'
            else 'none_found'
        end as verdict
    from campaigns
    inner join incremental_margins on campaigns.campaign_id = incremental_margins.campaign_id
    cross join campaign_rules
    left join bases on campaigns.campaign_id = bases.campaign_id
),

-- a margin that may as well be a loss returns nothing that can be told
judged_returns as (
    select
        *,
        case
            when verdict in ('too_early', 'too_spread', 'short_before', 'too_few')
                then 'not_compared'
            when margin_added_low_amount is null then 'no_margin'
            when coalesce(cost_amount, 0) = 0 then 'no_cost'
            when margin_added_low_amount > 0 or margin_added_high_amount < 0 then 'known'
            else 'unproven'
        end as return_status
    from amounts
),

-- in two steps: a sentence with all its values is nested too deeply
begun_sentences as (
    select
        amounts.campaign_id,
        verdicts.label_en,
        verdicts.label_zh,
    {%- for language in ['en', 'zh'] %}
        {{ fill_in('verdicts.sentence_' ~ language, {
            'line': with_one_decimal('100 * (exp(amounts.line_value_effect) - 1)'),
            'line_low': with_one_decimal('100 * (exp(amounts.line_value_low) - 1)'),
            'line_high': with_one_decimal('100 * (exp(amounts.line_value_high) - 1)'),
            'orders': with_one_decimal('amounts.order_frequency_effect'),
            'orders_low': with_one_decimal('amounts.order_frequency_low'),
            'orders_high': with_one_decimal('amounts.order_frequency_high'),
        }, is_whole=false) }} as sentence_{{ language }}{{ ',' if not loop.last }}
    {%- endfor %}
    from amounts
    left join verdicts on amounts.verdict = verdicts.verdict
),

sentences as (
    select
        amounts.campaign_id,
        begun_sentences.label_en,
        begun_sentences.label_zh,
    {%- for language in ['en', 'zh'] %}
        {{ fill_in('begun_sentences.sentence_' ~ language, {
            'margin': as_grouped('amounts.margin_added_amount'),
            'margin_low': as_grouped('amounts.margin_added_low_amount'),
            'margin_high': as_grouped('amounts.margin_added_high_amount'),
            'cost': as_grouped('amounts.cost_amount'),
            'currency': reporting_currency(),
            'compared': 'amounts.count_compared',
            'control': 'amounts.count_control',
            'min_before_days': as_whole('amounts.min_before_days'),
            'known_on': add_days('amounts.last_contact_on', 'amounts.effect_days'),
        }) }} as verdict_{{ language }}{{ ',' if not loop.last }}
    {%- endfor %}
    from amounts
    left join begun_sentences on amounts.campaign_id = begun_sentences.campaign_id
),

final as (
    select
        amounts.campaign_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        amounts.first_contact_on,
        amounts.last_contact_on,
        {{ add_days('amounts.last_contact_on', 'amounts.effect_days') }} as effect_until_on,
        cast(amounts.count_contacts as integer) as count_contacts,
        cast(amounts.count_reached as integer) as count_reached,
        cast(amounts.count_customers as integer) as count_customers,
        amounts.reach_rate,
        cast(amounts.count_compared as integer) as count_compared,
        cast(amounts.count_control as integer) as count_control,
        amounts.response_rate,
        amounts.control_response_rate,
        amounts.response_rate_effect as response_effect,
        exp(amounts.line_value_effect) - 1 as line_value_effect_rate,
        exp(amounts.line_value_low) - 1 as line_value_low_rate,
        exp(amounts.line_value_high) - 1 as line_value_high_rate,
        amounts.order_frequency_effect as orders_effect,
        amounts.order_frequency_low as orders_low,
        amounts.order_frequency_high as orders_high,
        amounts.revenue_after_amount,
        amounts.revenue_added_amount as incremental_revenue_amount,
        amounts.revenue_added_low_amount as incremental_revenue_low_amount,
        amounts.revenue_added_high_amount as incremental_revenue_high_amount,
        amounts.revenue_change_amount,
        amounts.revenue_change_low_amount,
        amounts.revenue_change_high_amount,
        amounts.margin_added_amount as incremental_margin_amount,
        amounts.margin_added_low_amount as incremental_margin_low_amount,
        amounts.margin_added_high_amount as incremental_margin_high_amount,
        cast(amounts.count_contacts - amounts.count_contacts_costed as integer)
            as count_contacts_without_cost,
        amounts.cost_amount,
        cast(amounts.margin_added_amount - amounts.cost_amount as decimal(18, 2))
            as net_return_amount,
        case
            when amounts.return_status = 'known'
                then
                    cast(amounts.margin_added_amount - amounts.cost_amount as double)
                    / cast(amounts.cost_amount as double)
        end as return_rate,
        amounts.return_status,
        return_texts.label_en as return_status_label_en,
        return_texts.label_zh as return_status_label_zh,
        amounts.retention_rate,
        amounts.control_retention_rate,
        amounts.retention_rate_effect as retention_effect,
        amounts.retention_rate_low as retention_low,
        amounts.retention_rate_high as retention_high,
        amounts.retention_status,
        amounts.verdict,
        sentences.label_en as verdict_label_en,
        sentences.label_zh as verdict_label_zh,
        sentences.verdict_en,
        sentences.verdict_zh
    from judged_returns as amounts
    left join sentences on amounts.campaign_id = sentences.campaign_id
    left join return_texts on amounts.return_status = return_texts.code
)

select * from final
