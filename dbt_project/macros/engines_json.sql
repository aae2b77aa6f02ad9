{#- A value of a JSON text by its path ($.a.b[0]), as text; null where there is none. -#}
{% macro json_text(json, path) -%}
    {{ adapter.dispatch('json_text', 'customer_marts')(json, path) }}
{%- endmacro %}
{% macro default__json_text(json, path) -%}
    json_extract_string({{ json }}, '{{ path }}')
{%- endmacro %}
{% macro spark__json_text(json, path) -%}
    get_json_object({{ json }}, '{{ path }}')
{%- endmacro %}

{#- The same as a number, as a count, as a truth. -#}
{% macro json_number(json, path) -%}
    cast({{ json_text(json, path) }} as double)
{%- endmacro %}
{% macro json_count(json, path) -%}
    cast({{ json_text(json, path) }} as integer)
{%- endmacro %}
{% macro json_flag(json, path) -%}
    cast({{ json_text(json, path) }} as boolean)
{%- endmacro %}
