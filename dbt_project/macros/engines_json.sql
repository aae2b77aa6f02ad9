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

{#- One row per object of a JSON list, as a struct of the given keys and types. -#}
{% macro json_rows(json, path, keys) -%}
    {{ adapter.dispatch('json_rows', 'customer_marts')(json, path, keys) }}
{%- endmacro %}
{% macro default__json_rows(json, path, keys) -%}
    unnest(
        from_json(
            json_extract({{ json }}, '{{ path }}'),
            '[{ {%- for key, type in keys.items() %}"{{ key }}": "{{ type }}"{{ ', ' if not loop.last }}{% endfor -%} }]'
        )
    )
{%- endmacro %}
{% macro spark__json_rows(json, path, keys) -%}
    explode(
        from_json(
            get_json_object({{ json }}, '{{ path }}'),
            'array<struct<
            {%- for key, type in keys.items() %}{{ key }}: {{ type | replace('varchar', 'string') }}{{ ', ' if not loop.last }}{% endfor -%}
            >>'
        )
    )
{%- endmacro %}
