{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed(
        'customer_id',
        'select customer_id from ' ~ ref('int_credit_defaults_changed'),
        credit_panel_rebuilt_when(),
    ) }}",
) }}
-- depends_on: {{ ref('int_credit_defaults_changed') }}
-- depends_on: {{ ref('credit_default_rules') }}
-- depends_on: {{ ref('credit_scorecard_parameters') }}

{%- set is_in_scope %}
    {%- if credit_panel_goes_on() -%}
        customer_id in (select customer_id from {{ ref('int_credit_defaults_changed') }})
    {%- else -%}
        true
    {%- endif %}
{%- endset %}

with late_spans as (
    select * from {{ ref('int_credit_late_spans') }}
    where {{ is_in_scope }}
),

invoices as (
    select * from {{ ref('int_receivable_claims') }}
    where document_kind = 'invoice' and claim_amount is not null and {{ is_in_scope }}
),

credits as (
    select * from {{ ref('int_receivable_credits') }}
    where {{ is_in_scope }}
),

default_rules as (
    select * from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
),

overdue_rule as (
    select * from default_rules where rule_code = 'overdue'
),

bill_rule as (
    select * from default_rules where rule_code = 'dishonoured_bill'
),

-- of each span the part beyond the days that make a default
very_late_spans as (
    select
        late_spans.customer_id,
        greatest(
            late_spans.late_from,
            {{ add_days('late_spans.due_on', 'overdue_rule.days_overdue_over + 1') }}
        ) as very_late_from,
        late_spans.late_until,
        late_spans.open_amount
    from late_spans
    cross join overdue_rule
    where
        {{ add_days('late_spans.due_on', 'overdue_rule.days_overdue_over + 1') }}
        < coalesce(late_spans.late_until, {{ add_days(as_of_date(), 1) }})
),

customers_very_late as (
    select distinct customer_id from very_late_spans
),

-- what is material goes by what was invoiced in the months before: paying does not lower that
changes as (
    select
        customer_id,
        very_late_from as changed_on,
        open_amount as very_late_amount,
        0 as invoiced_amount
    from very_late_spans
    union all
    select
        customer_id,
        late_until as changed_on,
        -open_amount as very_late_amount,
        0 as invoiced_amount
    from very_late_spans
    where late_until is not null
    union all
    select
        customer_id,
        claimed_on as changed_on,
        0 as very_late_amount,
        claim_amount as invoiced_amount
    from invoices
    where customer_id in (select customer_id from customers_very_late)
    union all
    select
        invoices.customer_id,
        cast({{ add_months('invoices.claimed_on', 'overdue_rule.invoiced_months') }} as date)
            as changed_on,
        0 as very_late_amount,
        -invoices.claim_amount as invoiced_amount
    from invoices
    cross join overdue_rule
    where invoices.customer_id in (select customer_id from customers_very_late)
),

change_days as (
    select
        customer_id,
        changed_on,
        sum(very_late_amount) as very_late_amount,
        sum(invoiced_amount) as invoiced_amount
    from changes
    where changed_on <= {{ as_of_date() }}
    group by customer_id, changed_on
),

days as (
    select
        customer_id,
        changed_on,
        sum(very_late_amount) over by_day as very_late_amount,
        sum(invoiced_amount) over by_day as invoiced_amount
    from change_days
    window by_day as (partition by customer_id order by changed_on)
),

states as (
    select
        days.*,
        days.very_late_amount > 0 and days.very_late_amount >= overdue_rule.minimum_amount
            as is_very_late,
        days.very_late_amount >= days.invoiced_amount * overdue_rule.minimum_rate as is_material
    from days
    cross join overdue_rule
),

state_changes as (
    select
        *,
        is_very_late
        <> coalesce(
            lag(is_very_late) over (partition by customer_id order by changed_on), false
        ) as is_turn
    from states
),

turns as (
    select
        *,
        sum(case when is_turn then 1 else 0 end) over (
            partition by customer_id
            order by changed_on
        ) as turn_no
    from state_changes
),

state_spells as (
    select
        customer_id,
        turn_no,
        is_very_late,
        min(changed_on) as begins_on,
        min(changed_on) filter (where is_material) as default_on,
        min_by(very_late_amount, changed_on) filter (where is_material) as very_late_amount
    from turns
    group by customer_id, turn_no, is_very_late
),

-- one that is material begins a default, and it lasts until less than the minimum is that late
spells_in_order as (
    select
        *,
        lead(begins_on) over (partition by customer_id order by turn_no) as cured_on
    from state_spells
),

spells as (
    select
        customer_id,
        'overdue' as rule_code,
        default_on,
        cured_on,
        very_late_amount as default_amount
    from spells_in_order
    where is_very_late and default_on is not null
    union all
    select
        credits.customer_id,
        'dishonoured_bill' as rule_code,
        credits.cancelled_on as default_on,
        case
            when {{ add_days('credits.cancelled_on', 'bill_rule.cure_days') }} <= {{ as_of_date() }}
                then {{ add_days('credits.cancelled_on', 'bill_rule.cure_days') }}
        end as cured_on,
        sum(credits.credit_amount) as default_amount
    from credits
    cross join bill_rule
    where credits.cancelled_on <= {{ as_of_date() }}
    group by
        credits.customer_id,
        credits.cancelled_on,
        bill_rule.cure_days,
        bill_rule.minimum_amount
    having sum(credits.credit_amount) >= bill_rule.minimum_amount
),

final as (
    select
        customer_id,
        rule_code,
        default_on,
        cured_on,
        {{ reporting_currency() }} as currency,
        cast(default_amount as decimal(18, 2)) as default_amount
    from spells
    where default_on <= {{ as_of_date() }}
)

select * from final
