{#- A seed's sentence with the row's own values in its {placeholders}; an unknown one shows as ?. -#}
{% macro fill_in(sentence, values) -%}
    {%- set filled = namespace(sql=sentence) -%}
    {%- for name, value in values.items() -%}
        {%- set filled.sql = "replace(" ~ filled.sql ~ ", '{" ~ name ~ "}', coalesce(cast("
            ~ value ~ " as " ~ dbt.type_string() ~ "), '?'))" -%}
    {%- endfor -%}
    {{ filled.sql }}
{%- endmacro %}

{#- A rate as per cent without decimals, for a sentence. -#}
{% macro as_percent(rate) -%}
    cast(round(100 * {{ rate }}) as integer)
{%- endmacro %}

{#- A number with one decimal, for a sentence. -#}
{% macro with_one_decimal(number) -%}
    cast(round({{ number }}, 1) as decimal(18, 1))
{%- endmacro %}
