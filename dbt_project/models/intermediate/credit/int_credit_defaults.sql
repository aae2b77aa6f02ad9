with late_spans as (
    select * from {{ ref('int_credit_late_spans') }}
),

claims as (
    select * from {{ ref('int_receivable_claims') }}
    where claim_amount is not null
),

allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where allocated_on <= {{ as_of_date() }}
),

credits as (
    select * from {{ ref('int_receivable_credits') }}
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

-- materiality goes by the open balance of the same day
changes as (
    select
        customer_id,
        very_late_from as changed_on,
        open_amount as very_late_amount,
        0 as balance_amount
    from very_late_spans
    union all
    select
        customer_id,
        late_until as changed_on,
        -open_amount as very_late_amount,
        0 as balance_amount
    from very_late_spans
    where late_until is not null
    union all
    select
        customer_id,
        claimed_on as changed_on,
        0 as very_late_amount,
        claim_amount as balance_amount
    from claims
    where customer_id in (select customer_id from customers_very_late)
    union all
    select
        customer_id,
        allocated_on as changed_on,
        0 as very_late_amount,
        -allocated_amount as balance_amount
    from allocations
    where customer_id in (select customer_id from customers_very_late)
),

change_days as (
    select
        customer_id,
        changed_on,
        sum(very_late_amount) as very_late_amount,
        sum(balance_amount) as balance_amount
    from changes
    group by customer_id, changed_on
),

days as (
    select
        customer_id,
        changed_on,
        sum(very_late_amount) over by_day as very_late_amount,
        sum(balance_amount) over by_day as balance_amount
    from change_days
    window by_day as (partition by customer_id order by changed_on)
),

states as (
    select
        days.*,
        days.very_late_amount > 0
        and days.very_late_amount >= overdue_rule.minimum_amount
        and days.very_late_amount >= days.balance_amount * overdue_rule.minimum_rate
            as is_in_default
    from days
    cross join overdue_rule
),

state_changes as (
    select
        customer_id,
        changed_on,
        very_late_amount,
        is_in_default
    from states
    qualify
        is_in_default
        <> coalesce(lag(is_in_default) over (partition by customer_id order by changed_on), false)
),

state_spells as (
    select
        *,
        lead(changed_on) over (partition by customer_id order by changed_on) as cured_on
    from state_changes
),

spells as (
    select
        customer_id,
        'overdue' as rule_code,
        changed_on as default_on,
        cured_on,
        very_late_amount as default_amount
    from state_spells
    where is_in_default
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
    group by credits.customer_id, credits.cancelled_on, bill_rule.cure_days, bill_rule.minimum_amount
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
