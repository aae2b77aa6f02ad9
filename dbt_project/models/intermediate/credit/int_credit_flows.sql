{{ config(materialized='view') }}

{#- What each source brings to a month: amounts, days, counts. -#}
{%- set sources = {
    'claim_months': ['invoiced_amount', 'claimed_amount'],
    'due_months': ['count_invoices_due'],
    'late_invoice_months': ['count_invoices_late'],
    'payment_months': [
        'allocated_amount', 'paid_amount', 'bill_paid_amount', 'prepaid_amount', 'delay_amount_days',
    ],
    'default_months': ['count_dishonoured', 'count_defaults'],
    'late_months': [
        'overdue_amount', 'overdue_over_30_amount', 'overdue_over_60_amount', 'worst_overdue_days',
        'worst_days_in_month', 'count_months_overdue',
    ],
    'order_months': ['count_orders', 'revenue_amount', 'count_complaints'],
    'bill_months': ['bills_outstanding_amount'],
} %}

-- Each source is read by itself, so that none waits for another: filtered by source, the rest is
-- not computed.
with panel_customers as (
    select * from {{ ref('int_credit_customers') }}
),

claims as (
    select * from {{ ref('int_receivable_claims') }}
    where claim_amount is not null
),

allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where allocated_on <= {{ as_of_date() }} and allocated_amount is not null
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
        {{ month_number('claimed_on') }} as month_no,
        sum(claim_amount) filter (where document_kind = 'invoice')
            as invoiced_amount,
        sum(claim_amount) as claimed_amount
    from claims
    group by customer_id, {{ month_number('claimed_on') }}
),

-- an invoice is judged on the day its grace is over
judged_invoices as (
    select
        claims.customer_id,
        {{ add_days('claims.due_on', 'parameters.grace_days + 1') }} as judged_on
    from claims
    cross join parameters
    where claims.document_kind = 'invoice'
),

due_months as (
    select
        customer_id,
        {{ month_number('judged_on') }} as month_no,
        count(*) as count_invoices_due
    from judged_invoices
    where judged_on <= {{ as_of_date() }}
    group by customer_id, {{ month_number('judged_on') }}
),

judged_spans as (
    select
        late_spans.customer_id,
        late_spans.late_from,
        late_spans.late_until,
        {{ add_days('late_spans.due_on', 'parameters.grace_days + 1') }} as judged_on
    from late_spans
    cross join parameters
    where late_spans.document_kind = 'invoice'
),

late_invoice_months as (
    select
        customer_id,
        {{ month_number('judged_on') }} as month_no,
        count(*) as count_invoices_late
    from judged_spans
    where
        late_from <= judged_on
        and judged_on < coalesce(late_until, {{ add_days(as_of_date(), 1) }})
    group by customer_id, {{ month_number('judged_on') }}
),

-- what covered an invoice, and how long after its due date; what was undone later stays paid then
payments as (
    select
        allocations.customer_id,
        allocations.allocated_on,
        allocations.is_bill,
        allocations.credit_kind = 'prepayment' as is_prepayment,
        {{ is_paid_invoice() }} as is_paid,
        allocations.allocated_amount,
        {{ days_between('claims.due_on', 'allocations.allocated_on') }} as delay_days
    from allocations
    inner join claims on allocations.document_id = claims.document_id
),

payment_months as (
    select
        customer_id,
        {{ month_number('allocated_on') }} as month_no,
        sum(allocated_amount) as allocated_amount,
        sum(allocated_amount) filter (where is_paid) as paid_amount,
        sum(allocated_amount) filter (where is_paid and is_bill) as bill_paid_amount,
        sum(allocated_amount) filter (where is_paid and is_prepayment) as prepaid_amount,
        sum(allocated_amount * delay_days) filter (where is_paid) as delay_amount_days
    from payments
    group by customer_id, {{ month_number('allocated_on') }}
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
        customer_id,
        month_on,
        open_amount,
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
        {{ month_number('month_on') }} as month_no,
        sum(open_amount) filter (where is_open_at_end) as overdue_amount,
        sum(open_amount) filter (where is_open_at_end and overdue_days > 30)
            as overdue_over_30_amount,
        sum(open_amount) filter (where is_open_at_end and overdue_days > 60)
            as overdue_over_60_amount,
        max(overdue_days) filter (where is_open_at_end) as worst_overdue_days,
        max(worst_days) as worst_days_in_month,
        max(case when is_open_at_end then 1 end) as count_months_overdue
    from dated_spans
    group by customer_id, {{ month_number('month_on') }}
),

default_months as (
    select
        customer_id,
        {{ month_number('default_on') }} as month_no,
        count(*) filter (where rule_code = 'dishonoured_bill') as count_dishonoured,
        count(*) as count_defaults
    from defaults
    group by customer_id, {{ month_number('default_on') }}
),

order_months as (
    select
        customer_months.customer_id,
        {{ month_number('customer_months.month_on') }} as month_no,
        customer_months.count_orders,
        greatest(customer_months.revenue_amount, 0) as revenue_amount,
        customer_months.count_complaints
    from customer_months
    inner join panel_customers on customer_months.customer_id = panel_customers.customer_id
    where customer_months.month_on >= panel_customers.first_month_on
),

bill_months as (
    select
        customer_id,
        {{ month_number('month_on') }} as month_no,
        bills_outstanding_amount
    from receivables
    where bills_outstanding_amount <> 0
),

final as (
    {%- for source, columns in sources.items() %}
        select
            '{{ source }}' as flow_source,
            panel_customers.customer_no,
            {%- for column in sources.values() | sum(start=[]) %}
                {{ source ~ '.' ~ column if column in columns else 'null' }} as {{ column }},
            {%- endfor %}
            cast({{ source }}.month_no as integer) as month_no
        from {{ source }}
        inner join panel_customers on {{ source }}.customer_id = panel_customers.customer_id
        {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
