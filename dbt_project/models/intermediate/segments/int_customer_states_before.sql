-- depends_on: {{ ref('int_customers_changed') }}
{% set relation = table_of_parent('int_customer_states') -%}
{%- set columns = customer_state_columns() -%}
{%- set empty_columns = [] -%}
{%- for column, data_type in columns.items() -%}
    {%- do empty_columns.append('cast(null as ' ~ data_type ~ ') as ' ~ column) -%}
{%- endfor -%}

{% if relation -%}
    with states_changed as (
        select states.*  -- noqa: RF01
        from {{ relation }} as states
        {{ join_changed_months('states', 'states.month_on', true) }}
    )

    select {{ columns | join(', ') }}
    from states_changed
{%- else -%}
    select {{ empty_columns | join(', ') }}
    where false
{%- endif %}
