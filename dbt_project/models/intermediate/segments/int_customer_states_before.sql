-- depends_on: {{ ref('int_customers_changed') }}
{% set relation = table_of_parent('int_customer_states', 'intermediate') -%}
{%- set columns = customer_state_columns() -%}
{%- set empty_columns = [] -%}
{%- for column, data_type in columns.items() -%}
    {%- do empty_columns.append('cast(null as ' ~ data_type ~ ') as ' ~ column) -%}
{%- endfor -%}

{% if relation -%}
    select {{ columns | join(', ') }}
    from {{ relation }} as states
    where {{ where_customer_month_changed('states', 'states.month_on', true) }}
{%- else -%}
    select {{ empty_columns | join(', ') }}
    where false
{%- endif %}
