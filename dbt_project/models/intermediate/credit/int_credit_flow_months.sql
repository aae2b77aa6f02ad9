{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_months_from(first_running_month()) }}",
        "{{ delete_changed_months_of_customers(credit_panel_rebuilt_when()) }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('stg_landing__run_context') }}
-- depends_on: {{ ref('credit_default_rules') }}
-- depends_on: {{ ref('credit_scorecard_parameters') }}

{%- set is_partial = credit_panel_goes_on() %}

{%- set sources = credit_flows_kept() %}

-- Of claims, what pays them and their late spans, that is of what a book has the most. A month
-- takes nothing from a later one, so those before a change stand.
with claims as (
    select * from {{ ref('int_receivable_claims') }}
    where claim_amount is not null
),

parameters as (
    select
        cast(
            max(value) filter (where parameter = 'late_invoice_grace_days') as integer
        ) as grace_days
    from {{ ref('credit_scorecard_parameters') }}
    where {{ is_in_force() }}
),

allocations as (
    {{ rows_of_months_again(
        ref('fct_payment_allocations'), 'allocated_on', first_running_month(), is_partial
    ) }}
),

overdue_spans as (
    {{ rows_of_months_again(
        ref('int_credit_late_spans'),
        'coalesce(' ~ add_days('late_until', -1) ~ ', ' ~ as_of_date() ~ ')',
        first_running_month(),
        is_partial,
    ) }}
),

-- the first month in which a span counts: not before what is computed
late_spans as (
    select
        overdue_spans.*,
        {{
            'greatest(' ~ month_start('overdue_spans.late_from') ~ ', '
            ~ first_credit_month('changed') ~ ')'
            if is_partial else month_start('overdue_spans.late_from')
        }} as from_month_on
    from overdue_spans
    {% if is_partial -%}
        left join {{ ref('int_customers_changed') }} as changed
            on overdue_spans.customer_id = changed.customer_id
    {%- endif %}
),

-- an invoice is judged on the day its grace is over
invoices as (
    select
        claims.customer_id,
        {{ add_days('claims.due_on', 'parameters.grace_days + 1') }} as judged_on
    from claims
    cross join parameters
    where claims.document_kind = 'invoice'
),

judged_invoices as (
    {{ rows_of_months_again('invoices', 'judged_on', first_running_month(), is_partial) }}
),

due_months as (
    select
        customer_id,
        {{ month_start('judged_on') }} as month_on,
        count(*) as count_invoices_due
    from judged_invoices
    where judged_on <= {{ as_of_date() }}
    group by customer_id, {{ month_start('judged_on') }}
),

judged_spans as (
    select
        late_spans.customer_id,
        late_spans.late_from,
        late_spans.late_until,
        late_spans.from_month_on,
        {{ add_days('late_spans.due_on', 'parameters.grace_days + 1') }} as judged_on
    from late_spans
    cross join parameters
    where late_spans.document_kind = 'invoice'
),

late_invoice_months as (
    select
        customer_id,
        {{ month_start('judged_on') }} as month_on,
        count(*) as count_invoices_late
    from judged_spans
    where
        judged_on >= from_month_on
        and late_from <= judged_on
        and judged_on < coalesce(late_until, {{ add_days(as_of_date(), 1) }})
    group by customer_id, {{ month_start('judged_on') }}
),

-- what covered an invoice, and how long after its due date; what was undone later stays paid then
payments as (
    select
        allocations.customer_id,
        allocations.allocated_on,
        allocations.is_bill,
        allocations.credit_kind = 'prepayment' as is_prepayment,
        allocations.allocated_amount,
        {{ days_between('claims.due_on', 'allocations.allocated_on') }} as delay_days
    from allocations
    inner join claims on allocations.document_id = claims.document_id
    where
        {{ is_paid_invoice() }}
        and allocations.allocated_on <= {{ as_of_date() }}
        and allocations.allocated_amount is not null
),

payment_months as (
    select
        customer_id,
        {{ month_start('allocated_on') }} as month_on,
        sum(allocated_amount) as paid_amount,
        sum(allocated_amount) filter (where is_bill) as bill_paid_amount,
        sum(allocated_amount) filter (where is_prepayment) as prepaid_amount,
        sum(allocated_amount * delay_days) as delay_amount_days,
        max(extract(day from allocated_on)) as last_paid_day
    from payments
    group by customer_id, {{ month_start('allocated_on') }}
),

late_span_months as (
    select
        customer_id,
        due_on,
        late_until,
        open_amount,
        cast(
            {{ explode_months(
                'from_month_on',
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

final as (
    {%- for source, columns in sources.items() %}
        select
            '{{ source }}' as flow_source,
            customer_id,
            month_on
            {%- for column in sources.values() | sum(start=[]) %}
                {%- set kind = 'decimal(18, 2)' if 'amount' in column else 'integer' %},
                cast({{ column if column in columns else 'null' }} as {{ kind }}) as {{ column }}
            {%- endfor %}
        from {{ source }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
where {{ only_changed('panel', credit_panel_rebuilt_when()) }}
