with customers as (
    select * from {{ ref('dim_customers') }}
),

credit_exposures as (
    select * from {{ ref('credit_exposures') }}
),

credit_limits as (
    select * from {{ ref('credit_limits') }}
),

credit_scores as (
    select * from {{ ref('credit_scores') }}
),

open_documents as (
    select * from {{ ref('open_documents') }}
    where document_kind = 'invoice'
),

payments as (
    select * from {{ ref('fct_payments') }}
    where
        dishonoured_on <= {{ as_of_date() }}
        -- who owes nothing any more has made it good
        and customer_id in (select customer_id from open_documents)
),

silent_bills as (
    select * from {{ ref('int_bills') }}
    -- one without a maturity did not mature on any known day: receivables_exceptions has it
    where ladder_status = 'matured_without_status'
),

trends as (
    select * from {{ ref('int_credit_trends') }}
),

grade_moves as (
    select * from {{ ref('int_grade_moves') }}
),

price_shocks as (
    select * from {{ ref('int_price_shocks') }}
),

order_lines as (
    select * from {{ ref('fct_order_lines') }}
    where not is_cancelled and ordered_on > {{ add_months(as_of_date(), -12) }}
),

products as (
    select * from {{ ref('dim_products') }}
),

alert_rules as (
    select * from {{ ref('credit_alert_rules') }}
    where {{ is_in_force() }}
),

book_total as (
    select sum(exposure_amount) as exposure_amount
    from credit_exposures
),

graded_exposures as (
    select
        credit_exposures.*,
        credit_scores.grade,
        credit_scores.grade_order,
        {%- for language in ['en', 'zh'] %}
            case
                when credit_scores.score_basis = 'override'
                    then concat(
                        credit_scores.score_basis_label_{{ language }},
                        ': ',
                        credit_scores.override_reviewer
                    )
                else credit_scores.score_basis_label_{{ language }}
            end as basis_{{ language }},
        {%- endfor %}
        coalesce(
            credit_scores.default_on, credit_scores.override_decided_on, credit_scores.as_of
        ) as graded_since_on,
        -- what is delivered cannot be stopped any more
        coalesce(credit_exposures.undelivered_orders_amount, 0)
        + coalesce(credit_exposures.uninvoiced_orders_amount, 0) as orders_amount
    from credit_exposures
    inner join credit_scores on credit_exposures.customer_id = credit_scores.customer_id
),

-- invoices that passed the days of the rule within its window
overdue_totals as (
    select
        open_documents.customer_id,
        alert_rules.kind,
        count(*) as count_documents,
        cast(sum(open_documents.open_amount) as decimal(18, 2)) as amount,
        min({{ add_days(
            'open_documents.due_on', 'cast(alert_rules.threshold as integer) + 1'
        ) }}) as since_on
    from open_documents
    inner join alert_rules
        on
            alert_rules.kind in ('long_overdue', 'broken_promise')
            and open_documents.overdue_days > alert_rules.threshold
            and open_documents.overdue_days <= alert_rules.threshold + alert_rules.window_days
    group by open_documents.customer_id, alert_rules.kind
),

statutory_totals as (
    select
        customer_id,
        count(*) as count_documents,
        cast(sum(open_amount) as decimal(18, 2)) as amount,
        min({{ add_days('statutory_due_on', 1) }}) as since_on
    from open_documents
    where is_statutory_overdue
    group by customer_id
),

-- a group's warning stands with the member of the largest exposure
group_heads as (
    select
        credit_limits.*,
        {{ mean_of('credit_limits.group_exposure_amount', 'book_total.exposure_amount') }}
            as share_of_book
    from credit_limits
    cross join book_total
    qualify row_number() over (
        partition by credit_limits.group_key
        order by credit_limits.exposure_amount desc, credit_limits.customer_id asc
    ) = 1
),

bought_categories as (
    select distinct
        order_lines.customer_id,
        products.category
    from order_lines
    inner join products on order_lines.product_id = products.product_id
),

-- of several prices that hit a customer, the one that moved furthest
hit_customers as (
    select
        customers.customer_id,
        price_shocks.*
    from customers
    inner join price_shocks on customers.industry = price_shocks.industry
    inner join bought_categories
        on
            customers.customer_id = bought_categories.customer_id
            and price_shocks.category = bought_categories.category
    qualify row_number() over (
        partition by customers.customer_id
        order by
            abs(price_shocks.change_rate) desc,
            price_shocks.price_code asc,
            price_shocks.direction asc
    ) = 1
),

warnings as (
    select
        {{ warning_of('stop_shipment', {
            'since_on': 'graded_since_on',
            'amount': 'orders_amount',
            'value': 'grade_order',
            'to_grade': 'grade',
            'reason_en': 'basis_en', 'reason_zh': 'basis_zh',
        }) }}
    from graded_exposures
    where orders_amount > 0
    union all
    select
        {{ warning_of('bill_dishonoured', {
            'document_id': 'payment_id', 'since_on': 'dishonoured_on', 'amount': 'payment_amount',
            'value': days_between('dishonoured_on', as_of_date()),
            'name_en': 'coalesce(bill_no, payment_id)', 'name_zh': 'coalesce(bill_no, payment_id)',
        }) }}
    from payments
    union all
    select
        {{ warning_of('bill_without_status', {
            'document_id': 'payment_id',
            'since_on': add_days('matures_on', 1),
            'told_on': 'matures_on',
            'amount': 'bill_amount',
            'value': days_between('matures_on', as_of_date()),
            'name_en': 'coalesce(bill_no, payment_id)',
            'name_zh': 'coalesce(bill_no, payment_id)',
        }) }}
    from silent_bills
    union all
    {%- for kind in ['long_overdue', 'broken_promise'] %}
        select
        {{ warning_of(kind, {
            'since_on': 'since_on', 'amount': 'amount', 'count_documents': 'count_documents',
        }) }}
        from overdue_totals
        where kind = '{{ kind }}'
        union all
    {%- endfor %}
    select
        {{ warning_of('limit_breach', {
            'since_on': 'over_limit_since_on',
            'amount': '-headroom_amount',
            'limit_amount': 'credit_limit_amount',
            'value': 'coalesce(utilisation_rate, ' ~ "cast('inf' as double)" ~ ')',
        }) }}
    from credit_limits
    where is_breached
    union all
    select
        {{ warning_of('group_limit_breach', {
            'document_id': 'group_key',
            'since_on': 'as_of',
            'amount': '-group_headroom_amount',
            'limit_amount': 'group_limit_amount',
            'exposure_amount': 'group_counted_exposure_amount',
            'count_documents': "case when group_limit_basis = 'own' then count_group_members "
                ~ "else count_group_members - count_group_members_without_limit end",
            'value': 'coalesce(group_utilisation_rate, ' ~ "cast('inf' as double)" ~ ')',
            'name_en': 'group_key', 'name_zh': 'group_key',
        }) }}
    from group_heads
    where is_group_breached
    union all
    select
        {{ warning_of('no_limit', {'since_on': 'as_of', 'amount': 'exposure_amount'}) }}
    from credit_limits
    where limit_status = 'no_limit' and exposure_amount > 0
    union all
    select
        {{ warning_of('rising_delay', {
            'since_on': 'since_on', 'value': 'delay_days_3_months', 'change': 'delay_trend_days',
        }) }}
    from trends
    where kind = 'rising_delay'
    union all
    select
        {{ warning_of('order_surge', {
            'since_on': 'since_on', 'value': 'order_trend_rate', 'change': 'delay_trend_days',
        }) }}
    from trends
    where kind = 'order_surge'
    union all
    select
        {{ warning_of('grade_downgrade', {
            'since_on': 'since_on',
            'value': 'grade_order',
            'change': 'grade_order - before_grade_order',
            'from_grade': 'before_grade',
            'to_grade': 'grade',
            'other_on': 'before_on',
        }) }}
    from grade_moves
    where grade_order > before_grade_order
    union all
    select
        {{ warning_of('concentration', {
            'document_id': 'group_key',
            'since_on': 'as_of',
            'amount': 'group_exposure_amount',
            'exposure_amount': 'group_exposure_amount',
            'count_documents': 'count_group_members',
            'value': 'share_of_book',
            'name_en': 'group_key', 'name_zh': 'group_key',
        }) }}
    from group_heads
    union all
    select
        {{ warning_of('price_shock', {
            'customer_id': 'hit_customers.customer_id',
            'document_id': 'hit_customers.price_code',
            'since_on': 'hit_customers.since_on',
            'told_on': 'hit_customers.price_on',
            'value': 'graded_exposures.grade_order',
            'change': 'hit_customers.change_rate',
            'count_documents': 'hit_customers.window_days',
            'to_grade': 'graded_exposures.grade',
            'name_en': 'hit_customers.label_en', 'name_zh': 'hit_customers.label_zh',
            'reason_en': 'hit_customers.reason_en', 'reason_zh': 'hit_customers.reason_zh',
        }) }}
    from hit_customers
    inner join graded_exposures on hit_customers.customer_id = graded_exposures.customer_id
    union all
    select
        {{ warning_of('statutory_overdue', {
            'since_on': 'since_on', 'amount': 'amount', 'count_documents': 'count_documents',
        }) }}
    from statutory_totals
),

-- what a warning is about: its own amount, else all that is at stake
valued_warnings as (
    select
        warnings.kind,
        warnings.customer_id,
        warnings.document_id,
        warnings.since_on,
        coalesce(warnings.told_on, warnings.since_on) as told_on,
        cast(coalesce(warnings.amount, credit_exposures.exposure_amount) as decimal(18, 2))
            as amount_at_risk,
        warnings.limit_amount,
        coalesce(warnings.exposure_amount, credit_exposures.exposure_amount) as exposure_amount,
        warnings.count_documents,
        warnings.value,
        warnings.change,
        warnings.from_grade,
        warnings.to_grade,
        warnings.name_en,
        warnings.name_zh,
        warnings.reason_en,
        warnings.reason_zh,
        warnings.other_on,
        credit_exposures.group_key
    from warnings
    inner join credit_exposures on warnings.customer_id = credit_exposures.customer_id
),

given_warnings as (
    select
        valued_warnings.*,
        alert_rules.version as rule_version,
        alert_rules.kind_order,
        alert_rules.severity,
        alert_rules.threshold,
        alert_rules.window_days,
        alert_rules.label_en,
        alert_rules.label_zh,
        alert_rules.evidence_en,
        alert_rules.evidence_zh,
        alert_rules.step_en,
        alert_rules.step_zh,
        -- shares are told as per cent
        case
            when
                valued_warnings.kind
                in ('limit_breach', 'group_limit_breach', 'order_surge', 'concentration')
                then 100 * valued_warnings.value
            when valued_warnings.kind = 'price_shock' then 100 * valued_warnings.change
            else valued_warnings.value
        end as told_value
    from valued_warnings
    inner join alert_rules on valued_warnings.kind = alert_rules.kind
    cross join book_total
    where
        valued_warnings.amount_at_risk > 0
        and valued_warnings.amount_at_risk >= alert_rules.minimum_amount
        and valued_warnings.amount_at_risk
        >= book_total.exposure_amount * alert_rules.minimum_share_of_book
        and case valued_warnings.kind
            when 'stop_shipment' then valued_warnings.value >= alert_rules.threshold
            when 'price_shock' then coalesce(valued_warnings.value >= alert_rules.threshold, true)
            when 'bill_dishonoured' then valued_warnings.value < alert_rules.window_days
            when 'bill_without_status'
                then
                    valued_warnings.value > alert_rules.threshold
                    and valued_warnings.value <= alert_rules.window_days
            when 'limit_breach' then valued_warnings.value > alert_rules.threshold
            when 'group_limit_breach'
                then
                    valued_warnings.value > alert_rules.threshold
                    and valued_warnings.count_documents >= alert_rules.second_threshold
            when 'grade_downgrade'
                then
                    valued_warnings.change >= alert_rules.threshold
                    and valued_warnings.value >= alert_rules.second_threshold
            when 'concentration' then valued_warnings.value >= alert_rules.threshold
            else true
        end
),

severities as (
    select * from {{ ref('code_labels') }}
    where domain = 'alert_severity' and {{ is_in_force() }}
),

final as (
    select
        concat_ws(
            ':', given_warnings.kind, given_warnings.customer_id, given_warnings.document_id
        ) as alert_id,
        {{ as_of_date() }} as as_of,
        cast(
            row_number() over (
                order by
                    case given_warnings.severity
                        when 'critical' then 1 when 'warning' then 2 else 3
                    end asc,
                    given_warnings.amount_at_risk desc,
                    given_warnings.kind_order asc,
                    given_warnings.customer_id asc,
                    given_warnings.document_id asc
            ) as integer
        ) as alert_rank,
        given_warnings.customer_id,
        given_warnings.group_key,
        given_warnings.kind,
        given_warnings.label_en,
        given_warnings.label_zh,
        given_warnings.severity,
        severities.label_en as severity_label_en,
        severities.label_zh as severity_label_zh,
        given_warnings.document_id,
        given_warnings.since_on,
        {{ reporting_currency() }} as currency,
        given_warnings.amount_at_risk,
        {%- for language in ['en', 'zh'] %}
        {{ fill_in('given_warnings.evidence_' ~ language, {
            'document': 'given_warnings.name_' ~ language,
            'amount': as_money('given_warnings.amount_at_risk'),
            'currency': reporting_currency(),
            'exposure': as_money('given_warnings.exposure_amount'),
            'limit': as_money('given_warnings.limit_amount'),
            'count': 'given_warnings.count_documents',
            'value': "case when given_warnings.told_value < cast('inf' as double) then "
                ~ with_decimal_if_any('given_warnings.told_value') ~ ' end',
            'change': with_decimal_if_any('given_warnings.change'),
            'threshold': as_whole('given_warnings.threshold'),
            'window': 'coalesce(given_warnings.window_days, given_warnings.count_documents)',
            'date': 'given_warnings.told_on',
            'other_date': 'given_warnings.other_on',
            'from': 'given_warnings.from_grade',
            'to': "coalesce(given_warnings.to_grade, '–')",
            'reason': 'given_warnings.reason_' ~ language,
        }) }} as evidence_{{ language }},
            given_warnings.step_{{ language }},
        {%- endfor %}
        given_warnings.rule_version
    from given_warnings
    inner join severities on given_warnings.severity = severities.code
)

select * from final
