-- Whose defaults can read otherwise: changed customers, and those of whom only days went by,
-- forward or back, so that a claim became very late, a year lost an invoice or a bill was cured.
with late_spans as (
    select * from {{ ref('int_credit_late_spans') }}
),

default_rules as (
    select * from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
),

very_late_days as (
    select
        late_spans.customer_id,
        {{ add_days('late_spans.due_on', 'default_rules.days_overdue_over + 1') }} as very_late_on
    from late_spans
    cross join default_rules
    where default_rules.rule_code = 'overdue'
),

-- of who never was very late nobody asks what is material
customers_very_late as (
    select distinct very_late_days.customer_id
    from very_late_days
    where very_late_days.very_late_on <= {{ later_as_of_date() }}
),

invoices_counted as (
    select
        claims.customer_id,
        {{ add_months('claims.claimed_on', 'default_rules.invoiced_months') }} as counted_until
    from {{ ref('int_receivable_claims') }} as claims
    cross join default_rules
    where claims.document_kind = 'invoice' and default_rules.rule_code = 'overdue'
),

bills_cured as (
    select
        credits.customer_id,
        {{ add_days('credits.cancelled_on', 'default_rules.cure_days') }} as cured_on
    from {{ ref('int_receivable_credits') }} as credits
    cross join default_rules
    where credits.cancelled_on is not null and default_rules.rule_code = 'dishonoured_bill'
),

final as (
    select customer_id from {{ ref('int_customers_changed') }}
    union
    select very_late_days.customer_id
    from very_late_days
    where {{ is_in_days_gone_by('very_late_days.very_late_on') }}
    union
    select invoices_counted.customer_id
    from invoices_counted
    inner join customers_very_late
        on invoices_counted.customer_id = customers_very_late.customer_id
    where {{ is_in_days_gone_by('invoices_counted.counted_until') }}
    union
    select bills_cured.customer_id
    from bills_cured
    where {{ is_in_days_gone_by('bills_cured.cured_on') }}
)

select * from final
