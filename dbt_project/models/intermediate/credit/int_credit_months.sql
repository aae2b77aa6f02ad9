{%- set stocks = {'overdue': 1, 'overdue_over_30': 31, 'overdue_over_60': 61} %}
{%- set sums = [
    'invoiced_amount', 'claimed_amount', 'allocated_amount', 'paid_amount', 'bill_paid_amount',
    'prepaid_amount', 'delay_amount_days', 'count_invoices_due', 'count_invoices_late',
    'overdue_amount', 'overdue_over_30_amount', 'overdue_over_60_amount',
    'count_dishonoured', 'count_defaults',
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

stock_changes as (
    {%- for stock, days_from in stocks.items() %}
        select
            customer_id,
            greatest(late_from, {{ add_days('due_on', days_from) }}) as changed_on,
            '{{ stock }}' as stock,
            open_amount as change_amount
        from late_spans
        where
            {{ add_days('due_on', days_from) }}
            < coalesce(late_until, {{ add_days(as_of_date(), 1) }})
        union all
        select
            customer_id,
            late_until as changed_on,
            '{{ stock }}' as stock,
            -open_amount as change_amount
        from late_spans
        where {{ add_days('due_on', days_from) }} < late_until
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

stock_months as (
    select
        customer_id,
        {{ month_start('changed_on') }} as month_on,
        {%- for stock in stocks %}
            sum(change_amount) filter (where stock = '{{ stock }}') as {{ stock }}_amount
            {{- ',' if not loop.last }}
        {%- endfor %}
    from stock_changes
    where changed_on <= {{ as_of_date() }}
    group by customer_id, {{ month_start('changed_on') }}
),

late_months as (
    select
        customer_id,
        due_on,
        late_until,
        cast(
            {{ explode_months(
                month_start('late_from'),
                month_start('least(' ~ add_days('late_until', -1) ~ ', ' ~ as_of_date() ~ ')')
            ) }} as date
        ) as month_on
    from late_spans
),

-- the longest overdue at any time of the month, and among what is left at its end
worst_months as (
    select
        customer_id,
        month_on,
        max(
            {{ days_between(
                'due_on', 'least(' ~ add_days('late_until', -1) ~ ', ' ~ state_on('month_on') ~ ')'
            ) }}
        ) as worst_days_in_month,
        max({{ days_between('due_on', state_on('month_on')) }}) filter (
            where coalesce(late_until > {{ state_on('month_on') }}, true)
        ) as worst_overdue_days
    from late_months
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
        order by default_on desc, rule_code
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

panel as (
    select
        customer_id,
        first_month_on,
        cast({{ explode_months('first_month_on', month_start(as_of_date())) }} as date) as month_on
    from starts
),

flows as (
    {%- for source, columns in {
        'claim_months': ['invoiced_amount', 'claimed_amount'],
        'due_months': ['count_invoices_due'],
        'late_invoice_months': ['count_invoices_late'],
        'payment_months': [
            'allocated_amount', 'paid_amount', 'bill_paid_amount', 'prepaid_amount',
            'delay_amount_days',
        ],
        'stock_months': ['overdue_amount', 'overdue_over_30_amount', 'overdue_over_60_amount'],
        'default_months': ['count_dishonoured', 'count_defaults'],
    }.items() %}
        select
            customer_id,
            month_on,
            {%- for column in sums %}
                {{ column if column in columns else 0 }} as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ source }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

flow_months as (
    select
        customer_id,
        month_on,
        {%- for column in sums %}
            coalesce(sum({{ column }}), 0) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from flows
    group by customer_id, month_on
),

joined as (
    select
        panel.customer_id,
        panel.month_on,
        {{ state_on('panel.month_on') }} as state_on,
        {%- for column in sums %}
            coalesce(flow_months.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        worst_months.worst_days_in_month,
        worst_months.worst_overdue_days,
        in_default_months.default_rule_code,
        in_default_months.default_on,
        in_default_months.default_amount,
        coalesce(receivables.bills_outstanding_amount, 0) as bills_outstanding_amount,
        coalesce(customer_months.count_orders, 0) as count_orders,
        greatest(coalesce(customer_months.revenue_amount, 0), 0) as revenue_amount,
        customer_months.count_complaints,
        least(
            panel.first_month_on, {{ month_start('customers.first_ordered_on') }},
            {{ month_start('customers.onboarded_on') }}
        ) as known_since_month_on
    from panel
    left join flow_months
        on
            panel.customer_id = flow_months.customer_id
            and panel.month_on = flow_months.month_on
    left join worst_months
        on
            panel.customer_id = worst_months.customer_id
            and panel.month_on = worst_months.month_on
    left join in_default_months
        on
            panel.customer_id = in_default_months.customer_id
            and panel.month_on = in_default_months.month_on
    left join receivables
        on
            panel.customer_id = receivables.customer_id
            and panel.month_on = receivables.month_on
    left join customer_months
        on
            panel.customer_id = customer_months.customer_id
            and panel.month_on = customer_months.month_on
    left join customers on panel.customer_id = customers.customer_id
),

-- stocks are what came less what went; flows are summed over the months of a row
totalled as (
    select
        *,
        sum(claimed_amount - allocated_amount) over so_far as open_amount,
        sum(overdue_amount) over so_far as total_overdue_amount,
        sum(overdue_over_30_amount) over so_far as total_overdue_over_30_amount,
        sum(overdue_over_60_amount) over so_far as total_overdue_over_60_amount,
        coalesce(sum(count_defaults) over before, 0) as defaults_before,
        max(case when count_orders > 0 then month_on end) over so_far as last_order_month_on,
        max(case when paid_amount > 0 then month_on end) over so_far as last_paid_month_on,
        min(case when count_defaults > 0 then month_on end) over after as next_default_month_on,
        sum(invoiced_amount) over year as invoiced_12_months_amount,
        sum(paid_amount) over year as paid_12_months_amount,
        sum(paid_amount) over quarter as paid_3_months_amount,
        sum(delay_amount_days) over year as delay_12_months_amount_days,
        sum(delay_amount_days) over quarter as delay_3_months_amount_days,
        sum(bill_paid_amount) over year as bill_paid_12_months_amount,
        sum(prepaid_amount) over year as prepaid_12_months_amount,
        sum(count_invoices_due) over year as count_invoices_due_12_months,
        sum(count_invoices_late) over year as count_invoices_late_12_months,
        sum(count_dishonoured) over year as dishonoured_bills_12_months,
        sum(count_complaints) over year as complaints_12_months,
        max(worst_days_in_month) over year as worst_days_12_months,
        sum(revenue_amount) over year as revenue_12_months_amount,
        sum(revenue_amount) over quarter as revenue_3_months_amount,
        count(*) over year as count_months_12_months,
        min(month_on) over year as year_from_on,
        min(month_on) over quarter as quarter_from_on
    from joined
    window
        so_far as (partition by customer_id order by month_on rows unbounded preceding),
        before as (
            partition by customer_id order by month_on
            rows between unbounded preceding and 1 preceding
        ),
        after as (
            partition by customer_id order by month_on
            rows between 1 following and unbounded following
        ),
        year as ({{ last_months(12) }}),
        quarter as ({{ last_months(3) }})
),

measured as (
    select
        *,
        sum(case when total_overdue_amount > 0 then 1 else 0 end) over (
            {{ last_months(12) }}
        ) as months_overdue_12_months,
        {{ mean_of('delay_12_months_amount_days', 'paid_12_months_amount') }}
            as delay_days_12_months,
        {{ mean_of('delay_3_months_amount_days', 'paid_3_months_amount') }} as delay_days_3_months
    from totalled
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
        default_rules.horizon_months,
        greatest(default_rules.minimum_amount, measured.open_amount * default_rules.minimum_rate)
            as material_amount
    from measured
    cross join default_rules
    left join attributed
        on
            measured.customer_id = attributed.customer_id
            and measured.month_on = attributed.month_on
),

final as (
    select
        customer_id,
        month_on,
        state_on,
        {{ reporting_currency() }} as currency,
        cast(open_amount as decimal(18, 2)) as open_amount,
        cast(total_overdue_amount as decimal(18, 2)) as overdue_amount,
        cast(invoiced_12_months_amount as decimal(18, 2)) as invoiced_12_months_amount,
        -- dormant: nothing open, and no invoice or payment for a year
        open_amount > 0
        or invoiced_12_months_amount > 0
        or paid_12_months_amount > 0 as is_active,
        default_rule_code,
        default_on,
        default_amount,
        default_rule_code is not null as is_in_default,
        case
            when default_rule_code is not null then 'default'
            when total_overdue_over_60_amount > 0 and total_overdue_over_60_amount >= material_amount
                then 'late_over_60'
            when total_overdue_over_30_amount > 0 and total_overdue_over_30_amount >= material_amount
                then 'late_31_60'
            when total_overdue_amount > 0 and total_overdue_amount >= material_amount
                then 'late_1_30'
            else 'not_late'
        end as roll_state,
        count_defaults > 0 as has_defaulted_in_month,
        cast(
            {{ months_between(
                'min(month_on) over (partition by customer_id)', 'month_on'
            ) }} as integer
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
        {{ mean_of('total_overdue_amount', 'open_amount') }} as overdue_rate,
        {{ mean_of('total_overdue_over_30_amount', 'open_amount') }} as overdue_over_30_rate,
        cast(coalesce(worst_overdue_days, 0) as double) as worst_overdue_days,
        cast(coalesce(worst_days_12_months, 0) as double) as worst_overdue_days_12_months,
        delay_days_3_months,
        delay_days_12_months,
        delay_days_3_months - delay_days_12_months as delay_trend_days,
        {{ mean_of('count_invoices_late_12_months', 'count_invoices_due_12_months') }}
            as late_invoice_rate_12_months,
        cast(months_overdue_12_months as double) as months_overdue_12_months,
        {{ mean_of('bill_paid_12_months_amount', 'paid_12_months_amount') }}
            as bill_paid_rate_12_months,
        cast(dishonoured_bills_12_months as double) as dishonoured_bills_12_months,
        {{ mean_of('prepaid_12_months_amount', 'paid_12_months_amount') }}
            as prepaid_rate_12_months,
        {{ mean_of('open_amount + bills_outstanding_amount', 'credit_limit_amount') }}
            as utilisation_rate,
        -- a month that runs counts with its days
        cast(revenue_3_months_amount as double) / nullif(
            cast(revenue_12_months_amount as double)
            * ({{ days_between('quarter_from_on', 'state_on') }} + 1)
            / ({{ days_between('year_from_on', 'state_on') }} + 1),
            0
        ) as order_trend_rate,
        cast({{ months_between('last_order_month_on', 'month_on') }} as double)
            as months_since_order,
        cast({{ months_between('last_paid_month_on', 'month_on') }} as double)
            as months_since_payment,
        {{ mean_of('paid_12_months_amount', 'invoiced_12_months_amount') }}
            as collection_rate_12_months,
        {{ mean_of('open_amount * count_months_12_months', 'invoiced_12_months_amount') }}
            as balance_months,
        cast({{ months_between('known_since_month_on', 'month_on') }} as double) as tenure_months,
        cast(complaints_12_months as double) as complaints_12_months,
        cast(defaults_before as double) as defaults_before,
        customer_type,
        industry,
        size_class
    from stated
)

select * from final
