{#- What each source brings to a month, and over which of the months up to a row it is added up. -#}
{%- set sources = {
    'claim_months': ['invoiced_amount', 'claimed_amount'],
    'due_months': ['count_invoices_due'],
    'late_invoice_months': ['count_invoices_late'],
    'payment_months': [
        'allocated_amount', 'paid_amount', 'bill_paid_amount', 'prepaid_amount',
        'delay_amount_days',
    ],
    'default_months': ['count_dishonoured', 'count_defaults'],
    'late_months': [
        'overdue_amount', 'overdue_over_30_amount', 'overdue_over_60_amount',
        'worst_overdue_days', 'worst_days_in_month', 'count_months_overdue',
    ],
    'order_months': ['count_orders', 'revenue_amount', 'count_complaints'],
    'bill_months': ['bills_outstanding_amount'],
} %}
{%- set this_month = [
    'claimed_amount', 'allocated_amount', 'paid_amount', 'count_defaults', 'overdue_amount',
    'overdue_over_30_amount', 'overdue_over_60_amount', 'worst_overdue_days', 'count_orders',
    'bills_outstanding_amount',
] %}
{%- set last_3_months = ['paid_amount', 'delay_amount_days', 'revenue_amount'] %}
{%- set last_12_months = [
    'invoiced_amount', 'paid_amount', 'delay_amount_days', 'bill_paid_amount', 'prepaid_amount',
    'count_invoices_due', 'count_invoices_late', 'count_dishonoured', 'count_complaints',
    'count_months_overdue', 'revenue_amount',
] %}

-- Every figure of a month end rests on rows dated up to that day; only the outcome looks further.
with claims as (
    select * from {{ ref('int_receivable_claims') }}
    where claim_amount is not null
),

allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where allocated_on <= {{ as_of_date() }} and allocated_amount is not null
),

credits as (
    select * from {{ ref('int_receivable_credits') }}
),

late_spans as (
    select * from {{ ref('int_credit_late_spans') }}
),

defaults as (
    select * from {{ ref('int_credit_defaults') }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
),

receivables as (
    select * from {{ ref('fct_receivables') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

customer_history as (
    select * from {{ ref('dim_customer_history') }}
    where is_main_record
),

default_rules as (
    select
        max(horizon_months) as horizon_months,
        max(minimum_amount) filter (where rule_code = 'overdue') as minimum_amount,
        max(minimum_rate) filter (where rule_code = 'overdue') as minimum_rate
    from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
),

parameters as (
    select
        cast(
            max(value) filter (where parameter = 'late_invoice_grace_days') as integer
        ) as grace_days
    from {{ ref('credit_scorecard_parameters') }}
    where {{ is_in_force() }}
),

claim_months as (
    select
        customer_id,
        {{ month_start('claimed_on') }} as month_on,
        sum(claim_amount) filter (where document_kind = 'invoice') as invoiced_amount,
        sum(claim_amount) as claimed_amount
    from claims
    group by customer_id, {{ month_start('claimed_on') }}
),

-- an invoice is judged on the day its grace is over
due_months as (
    select
        claims.customer_id,
        {{ month_start(add_days('claims.due_on', 'parameters.grace_days + 1')) }} as month_on,
        count(*) as count_invoices_due
    from claims
    cross join parameters
    where
        claims.document_kind = 'invoice'
        and {{ add_days('claims.due_on', 'parameters.grace_days + 1') }} <= {{ as_of_date() }}
    group by
        claims.customer_id, {{ month_start(add_days('claims.due_on', 'parameters.grace_days + 1')) }}
),

late_invoice_months as (
    select
        late_spans.customer_id,
        {{ month_start(add_days('late_spans.due_on', 'parameters.grace_days + 1')) }} as month_on,
        count(*) as count_invoices_late
    from late_spans
    cross join parameters
    where
        late_spans.document_kind = 'invoice'
        and late_spans.late_from <= {{ add_days('late_spans.due_on', 'parameters.grace_days + 1') }}
        and {{ add_days('late_spans.due_on', 'parameters.grace_days + 1') }}
        < coalesce(late_spans.late_until, {{ add_days(as_of_date(), 1) }})
    group by
        late_spans.customer_id,
        {{ month_start(add_days('late_spans.due_on', 'parameters.grace_days + 1')) }}
),

-- what covered an invoice, and how long after its due date; what was undone later stays paid then
payment_months as (
    select
        allocations.customer_id,
        {{ month_start('allocations.allocated_on') }} as month_on,
        sum(allocations.allocated_amount) as allocated_amount,
        sum(allocations.allocated_amount) filter (where {{ is_paid_invoice() }}) as paid_amount,
        sum(allocations.allocated_amount) filter (
            where {{ is_paid_invoice() }} and allocations.is_bill
        ) as bill_paid_amount,
        sum(allocations.allocated_amount) filter (
            where {{ is_paid_invoice() }} and allocations.credit_kind = 'prepayment'
        ) as prepaid_amount,
        sum(
            allocations.allocated_amount
            * {{ days_between('claims.due_on', 'allocations.allocated_on') }}
        ) filter (where {{ is_paid_invoice() }}) as delay_amount_days
    from allocations
    inner join claims on allocations.document_id = claims.document_id
    group by allocations.customer_id, {{ month_start('allocations.allocated_on') }}
),

late_span_months as (
    select
        customer_id,
        due_on,
        late_until,
        open_amount,
        cast(
            {{ explode_months(
                month_start('late_from'),
                month_start('least(' ~ add_days('late_until', -1) ~ ', ' ~ as_of_date() ~ ')')
            ) }} as date
        ) as month_on
    from late_spans
),

dated_spans as (
    select
        *,
        coalesce(late_until > {{ state_on('month_on') }}, true) as is_open_at_end,
        {{ days_between('due_on', state_on('month_on')) }} as overdue_days,
        least(
            {{ days_between('due_on', state_on('month_on')) }},
            {{ days_between('due_on', 'late_until') }} - 1
        ) as worst_days
    from late_span_months
),

-- what is overdue at the end of a month, and the longest at any time of it
late_months as (
    select
        customer_id,
        month_on,
        sum(open_amount) filter (where is_open_at_end) as overdue_amount,
        sum(open_amount) filter (where is_open_at_end and overdue_days > 30)
            as overdue_over_30_amount,
        sum(open_amount) filter (where is_open_at_end and overdue_days > 60)
            as overdue_over_60_amount,
        max(overdue_days) filter (where is_open_at_end) as worst_overdue_days,
        max(worst_days) as worst_days_in_month,
        max(case when is_open_at_end then 1 end) as count_months_overdue
    from dated_spans
    group by customer_id, month_on
),

default_months as (
    select
        customer_id,
        {{ month_start('default_on') }} as month_on,
        count(*) as count_defaults,
        count(*) filter (where rule_code = 'dishonoured_bill') as count_dishonoured
    from defaults
    group by customer_id, {{ month_start('default_on') }}
),

default_spell_months as (
    select
        customer_id,
        rule_code,
        default_on,
        cured_on,
        default_amount,
        cast(
            {{ explode_months(
                month_start('default_on'),
                month_start('least(' ~ add_days('cured_on', -1) ~ ', ' ~ as_of_date() ~ ')')
            ) }} as date
        ) as month_on
    from defaults
),

-- of several spells the latest
in_default_months as (
    select
        customer_id,
        month_on,
        rule_code as default_rule_code,
        default_on,
        default_amount
    from default_spell_months
    where coalesce(cured_on > {{ state_on('month_on') }}, true)
    qualify row_number() over (
        partition by customer_id, month_on
        order by default_on desc, rule_code asc
    ) = 1
),

document_starts as (
    select
        customer_id,
        claimed_on as started_on
    from claims
    union all
    select
        customer_id,
        credited_on as started_on
    from credits
),

starts as (
    select
        customer_id,
        {{ month_start('min(started_on)') }} as first_month_on
    from document_starts
    group by customer_id
),

order_months as (
    select
        customer_months.customer_id,
        customer_months.month_on,
        customer_months.count_orders,
        greatest(customer_months.revenue_amount, 0) as revenue_amount,
        customer_months.count_complaints
    from customer_months
    inner join starts on customer_months.customer_id = starts.customer_id
    where customer_months.month_on >= starts.first_month_on
),

bill_months as (
    select
        customer_id,
        month_on,
        bills_outstanding_amount
    from receivables
    where bills_outstanding_amount <> 0
),

flows as (
    {%- for source, columns in sources.items() %}
        select
            customer_id,
            {{ month_number('month_on') }} as month_no,
            {%- for others in sources.values() %}
                {%- set is_last = loop.last %}
                {%- for column in others %}
                    {{ column if column in columns else 'null' }} as {{ column }}
                    {{- ',' if not (is_last and loop.last) }}
                {%- endfor %}
            {%- endfor %}
        from {{ source }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

flow_months as (
    select
        customer_id,
        month_no,
        {%- for columns in sources.values() %}
            {%- set is_last = loop.last %}
            {%- for column in columns %}
                -- one source brings it, once a month
                max({{ column }}) as {{ column }}{{ ',' if not (is_last and loop.last) }}
            {%- endfor %}
        {%- endfor %}
    from flows
    group by customer_id, month_no
),

-- a month counts for itself and for the eleven after it: one aggregation instead of a window each
months_later as (
    {%- for number in range(12) %}
        select {{ number }} as months_later {{ 'union all' if not loop.last }}
    {%- endfor %}
),

rolled as (
    select
        flow_months.customer_id,
        flow_months.month_no + months_later.months_later as month_no,
        {%- for column in this_month %}
            sum(flow_months.{{ column }}) filter (where months_later.months_later = 0) as {{ column }},
        {%- endfor %}
        {%- for column in last_3_months %}
            sum(flow_months.{{ column }}) filter (where months_later.months_later < 3)
                as {{ column }}_3_months,
        {%- endfor %}
        {%- for column in last_12_months %}
            sum(flow_months.{{ column }}) as {{ column }}_12_months,
        {%- endfor %}
        max(flow_months.worst_days_in_month) as worst_days_12_months
    from flow_months
    cross join months_later
    group by flow_months.customer_id, flow_months.month_no + months_later.months_later
),

panel as (
    select
        customer_id,
        first_month_on,
        cast({{ explode_months('first_month_on', month_start(as_of_date())) }} as date) as month_on
    from starts
),

joined as (
    select
        panel.customer_id,
        panel.month_on,
        panel.first_month_on,
        {{ state_on('panel.month_on') }} as state_on,
        greatest(panel.first_month_on, {{ add_months('panel.month_on', -11) }}) as year_from_on,
        greatest(panel.first_month_on, {{ add_months('panel.month_on', -2) }}) as quarter_from_on,
        {%- for column in this_month %}
            rolled.{{ column }},
        {%- endfor %}
        {%- for column in last_3_months %}
            rolled.{{ column }}_3_months,
        {%- endfor %}
        {%- for column in last_12_months %}
            rolled.{{ column }}_12_months,
        {%- endfor %}
        rolled.worst_days_12_months
    from panel
    left join rolled
        on
            panel.customer_id = rolled.customer_id
            and {{ month_number('panel.month_on') }} = rolled.month_no
),

measured as (
    select
        *,
        sum(coalesce(claimed_amount, 0) - coalesce(allocated_amount, 0)) over so_far as open_amount,
        max(case when count_orders > 0 then month_on end) over so_far as last_order_month_on,
        max(case when paid_amount > 0 then month_on end) over so_far as last_paid_month_on,
        {{ mean_of('delay_amount_days_12_months', 'paid_amount_12_months') }}
            as delay_days_12_months,
        {{ mean_of('delay_amount_days_3_months', 'paid_amount_3_months') }} as delay_days_3_months
    from joined
    window so_far as (
        partition by customer_id
        order by month_on
        rows between unbounded preceding and current row
    )
),

-- few customers default: of these the months before and after
defaults_around as (
    select
        panel.customer_id,
        panel.month_on,
        sum(default_months.count_defaults) filter (
            where default_months.month_on < panel.month_on
        ) as defaults_before,
        min(default_months.month_on) filter (
            where default_months.month_on > panel.month_on
        ) as next_default_month_on
    from panel
    inner join default_months on panel.customer_id = default_months.customer_id
    group by panel.customer_id, panel.month_on
),

-- attributes as they were known then; before anything was, the first that are
attributed as (
    select
        measured.customer_id,
        measured.month_on,
        customer_history.customer_type,
        customer_history.industry,
        customer_history.size_class,
        case when coalesce(customer_history.valid_from <= measured.state_on, true)
            then customer_history.credit_limit_amount
        end as credit_limit_amount
    from measured
    inner join customer_history on measured.customer_id = customer_history.customer_id
    where
        (customer_history.version_no = 1 or customer_history.valid_from <= measured.state_on)
        and coalesce(customer_history.valid_to > measured.state_on, true)
),

stated as (
    select
        measured.*,
        attributed.customer_type,
        attributed.industry,
        attributed.size_class,
        attributed.credit_limit_amount,
        in_default_months.default_rule_code,
        in_default_months.default_on,
        in_default_months.default_amount,
        coalesce(defaults_around.defaults_before, 0) as defaults_before,
        defaults_around.next_default_month_on,
        least(
            measured.first_month_on, {{ month_start('customers.first_ordered_on') }},
            {{ month_start('customers.onboarded_on') }}
        ) as known_since_month_on,
        default_rules.horizon_months,
        greatest(default_rules.minimum_amount, measured.open_amount * default_rules.minimum_rate)
            as material_amount
    from measured
    cross join default_rules
    left join attributed
        on
            measured.customer_id = attributed.customer_id
            and measured.month_on = attributed.month_on
    left join in_default_months
        on
            measured.customer_id = in_default_months.customer_id
            and measured.month_on = in_default_months.month_on
    left join defaults_around
        on
            measured.customer_id = defaults_around.customer_id
            and measured.month_on = defaults_around.month_on
    left join customers on measured.customer_id = customers.customer_id
),

final as (
    select
        customer_id,
        month_on,
        state_on,
        {{ reporting_currency() }} as currency,
        cast(open_amount as decimal(18, 2)) as open_amount,
        cast(coalesce(overdue_amount, 0) as decimal(18, 2)) as overdue_amount,
        cast(coalesce(invoiced_amount_12_months, 0) as decimal(18, 2)) as invoiced_12_months_amount,
        -- dormant: nothing open, and no invoice or payment for a year
        open_amount > 0
        or coalesce(invoiced_amount_12_months, 0) > 0
        or coalesce(paid_amount_12_months, 0) > 0 as is_active,
        default_rule_code,
        default_on,
        default_amount,
        default_rule_code is not null as is_in_default,
        case
            when default_rule_code is not null then 'default'
            when overdue_over_60_amount > 0 and overdue_over_60_amount >= material_amount then 'late_over_60'
            when overdue_over_30_amount > 0 and overdue_over_30_amount >= material_amount then 'late_31_60'
            when overdue_amount > 0 and overdue_amount >= material_amount
                then 'late_1_30'
            else 'not_late'
        end as roll_state,
        coalesce(count_defaults > 0, false) as has_defaulted_in_month,
        cast(
            {{ months_between('first_month_on', 'month_on') }} as integer
        ) as history_months,
        -- the outcome: known once the months ahead have passed
        case
            when
                {{ add_days(add_months('month_on', 'horizon_months + 1'), -1) }} <= {{ as_of_date() }}
                then coalesce(
                    {{ months_between('month_on', 'next_default_month_on') }} <= horizon_months,
                    false
                )
        end as is_default_ahead,
        {{ mean_of('coalesce(overdue_amount, 0)', 'open_amount') }} as overdue_rate,
        {{ mean_of('coalesce(overdue_over_30_amount, 0)', 'open_amount') }} as overdue_over_30_rate,
        cast(coalesce(worst_overdue_days, 0) as double) as worst_overdue_days,
        cast(coalesce(worst_days_12_months, 0) as double) as worst_overdue_days_12_months,
        delay_days_3_months,
        delay_days_12_months,
        delay_days_3_months - delay_days_12_months as delay_trend_days,
        {{ mean_of('coalesce(count_invoices_late_12_months, 0)', 'count_invoices_due_12_months') }}
            as late_invoice_rate_12_months,
        cast(coalesce(count_months_overdue_12_months, 0) as double) as months_overdue_12_months,
        {{ mean_of('coalesce(bill_paid_amount_12_months, 0)', 'paid_amount_12_months') }}
            as bill_paid_rate_12_months,
        cast(coalesce(count_dishonoured_12_months, 0) as double) as dishonoured_bills_12_months,
        {{ mean_of('coalesce(prepaid_amount_12_months, 0)', 'paid_amount_12_months') }}
            as prepaid_rate_12_months,
        {{ mean_of(
            'open_amount + coalesce(bills_outstanding_amount, 0)', 'credit_limit_amount'
        ) }}
            as utilisation_rate,
        -- a month that runs counts with its days
        cast(coalesce(revenue_amount_3_months, 0) as double) / nullif(
            cast(revenue_amount_12_months as double)
            * ({{ days_between('quarter_from_on', 'state_on') }} + 1)
            / ({{ days_between('year_from_on', 'state_on') }} + 1),
            0
        ) as order_trend_rate,
        cast({{ months_between('last_order_month_on', 'month_on') }} as double)
            as months_since_order,
        cast({{ months_between('last_paid_month_on', 'month_on') }} as double)
            as months_since_payment,
        {{ mean_of('coalesce(paid_amount_12_months, 0)', 'invoiced_amount_12_months') }}
            as collection_rate_12_months,
        {{ mean_of(
            'open_amount * (' ~ months_between('year_from_on', 'month_on') ~ ' + 1)',
            'invoiced_amount_12_months'
        ) }}
            as balance_months,
        cast({{ months_between('known_since_month_on', 'month_on') }} as double) as tenure_months,
        cast(count_complaints_12_months as double) as complaints_12_months,
        cast(defaults_before as double) as defaults_before,
        customer_type,
        industry,
        size_class
    from stated
)

select * from final
