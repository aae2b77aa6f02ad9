{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ empty_table() }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('credit_default_rules') }}
-- depends_on: {{ ref('credit_scorecard_parameters') }}

{%- set is_partial = credit_panel_goes_on() %}

-- The panel's customers and their numbers: whole numbers join and sort faster than keys do. This
-- run computes a customer's months from from_month_on on.
with claims as (
    select * from {{ ref('int_receivable_claims') }}
    where claim_amount is not null
),

credits as (
    select * from {{ ref('int_receivable_credits') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

document_starts as (
    select
        customer_id,
        min(claimed_on) as started_on
    from claims
    group by customer_id
    union all
    select
        customer_id,
        min(credited_on) as started_on
    from credits
    group by customer_id
),

starts as (
    select
        customer_id,
        min(started_on) as started_on,
        {{ month_start('min(started_on)') }} as first_month_on
    from document_starts
    group by customer_id
),

panel_customers as (
    select
        starts.customer_id,
        starts.first_month_on,
        {%- if is_partial %}
            greatest(starts.first_month_on, {{ first_credit_month('changed') }}) as from_month_on,
        {%- else %}
            starts.first_month_on as from_month_on,
        {%- endif %}
        least(starts.started_on, customers.first_ordered_on, customers.onboarded_on)
            as known_since_on,
        customers.last_ordered_on
    from starts
    left join customers on starts.customer_id = customers.customer_id
    {%- if is_partial %}
        left join {{ ref('int_customers_changed') }} as changed
            on starts.customer_id = changed.customer_id
    {%- endif %}
),

final as (
    select
        cast(row_number() over (order by customer_id) - 1 as integer) as customer_no,
        customer_id,
        first_month_on,
        from_month_on,
        cast({{ month_number('from_month_on') }} as integer) as from_month_no,
        cast({{ month_number(as_of_date()) }} as integer) as last_month_no,
        known_since_on,
        last_ordered_on
    from panel_customers
)

select * from final
