{#- A balance times a loss rate, to the cent: the rate has eight decimals. -#}
{% macro provision_of(amount, rate) -%}
    {{ to_amount('cast(' ~ amount ~ ' as decimal(19, 2)) * cast(' ~ rate ~ ' as decimal(9, 8))') }}
{%- endmacro %}

{#- The month before. -#}
{% macro month_before(month_on) -%}
    {{ add_months(month_on, -1) }}
{%- endmacro %}

{#- Predicate: a version of a customer held on the day; the first may have held for ever. -#}
{% macro is_known_on(history, on_date) -%}
    coalesce({{ history }}.valid_from <= {{ on_date }}, true)
                and coalesce({{ history }}.valid_to > {{ on_date }}, true)
{%- endmacro %}
