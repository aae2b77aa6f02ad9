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

{#- A number without decimals, for a sentence. -#}
{% macro as_whole(number) -%}
    cast(round({{ number }}) as bigint)
{%- endmacro %}

{#- A number with one decimal, for a sentence. -#}
{% macro with_one_decimal(number) -%}
    cast(round({{ number }}, 1) as decimal(18, 1))
{%- endmacro %}

{#- The texts of the ranks 1 to 3 of a group, as one text; null where there is none. -#}
{% macro top_three(text, rank, where='true') -%}
    nullif(concat_ws(
            ', '
            {%- for place in [1, 2, 3] %},
            max({{ text }}) filter (where {{ where }} and {{ rank }} = {{ place }})
            {%- endfor %}
        ), '')
{%- endmacro %}

{#- The texts of a group in an order, as one text. -#}
{% macro joined_text(text, mark, order_by) -%}
    {{ adapter.dispatch('joined_text', 'customer_marts')(text, mark, order_by) }}
{%- endmacro %}
{% macro default__joined_text(text, mark, order_by) -%}
    string_agg({{ text }}, '{{ mark }}' order by {{ order_by }})
{%- endmacro %}
{% macro spark__joined_text(text, mark, order_by) -%}
    listagg({{ text }}, '{{ mark }}') within group (order by {{ order_by }})
{%- endmacro %}
