{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ empty_table() }}",
) }}
-- depends_on: {{ ref('stg_landing__run_context') }}
-- depends_on: {{ ref('credit_default_rules') }}
-- depends_on: {{ ref('credit_scorecard_parameters') }}
{% set relation = table_of_parent('int_credit_months') -%}

-- The month before the first that this run computes, of whom one stands.
{% if relation and credit_panel_goes_on() -%}
    with panel_customers as (
        select * from {{ ref('int_credit_customers') }}
        where from_month_on > first_month_on
    )

    select
        panel_customers.customer_no,
        months.customer_id,
        months.month_on,
        months.is_active,
        months.is_in_default,
        months.roll_state,
        cast(months.months_since_order as integer) as months_since_order,
        cast(months.months_since_payment as integer) as months_since_payment
    from panel_customers
    inner join {{ relation }} as months
        on
            panel_customers.customer_id = months.customer_id
            and {{ month_before('panel_customers.from_month_on') }} = months.month_on
{%- else -%}
    select
        cast(null as integer) as customer_no,
        cast(null as {{ dbt.type_string() }}) as customer_id,
        cast(null as date) as month_on,
        cast(null as boolean) as is_active,
        cast(null as boolean) as is_in_default,
        cast(null as {{ dbt.type_string() }}) as roll_state,
        cast(null as integer) as months_since_order,
        cast(null as integer) as months_since_payment
    from {{ ref('int_credit_customers') }}
    where false
{%- endif %}
