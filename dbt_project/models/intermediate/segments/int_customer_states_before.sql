-- depends_on: {{ ref('int_customers_changed') }}
{#
    It reads the states as copied from the parent release, before this run touches them, so it must
    not be a ref(): the states wait for this model instead.
#}
{% set relation = none -%}
{%- if execute -%}
    {%- set relation = adapter.get_relation(
        target.database, 'intermediate', 'int_customer_states'
    ) -%}
{%- endif -%}
{%- set columns = customer_state_columns() -%}
{%- set empty_columns = [] -%}
{%- for column, data_type in columns.items() -%}
    {%- do empty_columns.append('cast(null as ' ~ data_type ~ ') as ' ~ column) -%}
{%- endfor -%}

{% if relation -%}
    select {{ columns | join(', ') }}
    from {{ relation }}
    where customer_id in ({{ changed_customers() }})
{%- else -%}
    select {{ empty_columns | join(', ') }}
    where false
{%- endif %}
