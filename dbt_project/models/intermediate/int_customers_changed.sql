with rows_changed as (
    select * from {{ ref('int_rows_changed') }}
),

orders_changed as (
    select * from {{ ref('int_orders_changed') }}
),

invoices_changed as (
    select * from {{ ref('int_invoices_changed') }}
),

orders as (
    select * from {{ ref('stg_landing__orders') }}
),

-- a customer's attributes have no date of their own
customers_of_changed_rows as (
    select
        customer_id,
        case when feed <> 'customers' then first_on end as changed_on
    from rows_changed
    where customer_id is not null
),

customers_of_changed_orders as (
    select
        customer_id,
        ordered_on as changed_on
    from orders
    where order_id in (select order_id from orders_changed)
),

documents_changed as (
    select invoice_id as document_id from invoices_changed
    union all
    select order_id as document_id from orders_changed
),

-- whose document it is that a payment names may change without the payment. Payments are read each
-- time anew: a step with several readers is kept whole, and an `or` would look at every payment
customers_naming_changed_documents as (
    select
        customer_id,
        received_on as changed_on
    from {{ ref('stg_landing__payments') }}
    where reference in (select document_id from documents_changed)
    union all
    select
        customer_id,
        received_on as changed_on
    from {{ ref('stg_landing__payments') }}
    where order_id in (select order_id from orders_changed)
),

-- a bill received long ago turns into cash on the day it matures
customers_of_maturing_bills as (
    select
        customer_id,
        {{ earlier_as_of_date() }} as changed_on
    from {{ ref('stg_landing__payments') }}
    where {{ is_in_days_gone_by('bill_matures_on') }}
),

-- a claim turns overdue on the day after its due date, an excess refund after the refund
customers_of_overdue_claims as (
    {{ customers_gone_past('fct_invoices', 'due_on') }}
    union all
    {{ customers_gone_past('fct_payments', 'received_on', 'facts.payment_amount < 0') }}
),

-- a row that moved to another customer or day changes the one it left as well, a record its
-- attributes
previous_customers as (
    {{
        previous_customers(
            'dim_customer_history',
            'source_customer_id',
            changed_rows('customers'),
            'cast(null as date)',
        )
    }}
    union all
    {{ previous_customers('fct_orders', 'order_id', changed_orders(), 'ordered_on') }}
    union all
    {{ previous_customers('fct_invoices', 'invoice_id', changed_invoices(), 'invoiced_on') }}
    union all
    {{
        previous_customers('fct_payments', 'payment_id', changed_rows('payments'), 'received_on')
    }}
    union all
    {{
        previous_customers(
            'fct_survey_responses', 'response_id', changed_rows('survey_responses'), 'answered_on'
        )
    }}
    union all
    {{
        previous_customers(
            'fct_complaints',
            'complaint_id',
            changed_rows('complaints'),
            'least(opened_on, resolved_on)',
        )
    }}
    union all
    {{
        previous_customers(
            'fct_interactions', 'interaction_id', changed_rows('interactions'), 'occurred_on'
        )
    }}
    union all
    {{
        previous_customers(
            'fct_customer_costs', 'cost_id', changed_rows('customer_costs'), 'incurred_on'
        )
    }}
    union all
    {{
        previous_customers(
            'fct_opportunities', 'opportunity_id', changed_rows('opportunities'), 'opened_on'
        )
    }}
),

movements as (
    select * from customers_of_changed_rows
    union all
    select * from customers_of_changed_orders
    union all
    select * from customers_naming_changed_documents
    union all
    select * from customers_of_maturing_bills
    union all
    select * from previous_customers
),

days_gone_by as (
    select * from customers_of_overdue_claims
    union all
    {{ customers_of_another_month() }}
),

changes as (
    select
        *,
        1 as is_movement
    from movements
    union all
    select
        *,
        0 as is_movement
    from days_gone_by
),

final as (
    select
        customer_id,
        {{ month_start('min(coalesce(changed_on, ' ~ beginning_of_time() ~ '))') }}
            as first_month_on,
        max(is_movement) = 1 as has_movements
    from changes
    group by customer_id
)

select * from final
