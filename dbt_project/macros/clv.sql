{#- A double as money: by a decimal, so that halves are decided alike everywhere. -#}
{% macro cents_of(value) -%}
    {{ to_amount('cast(' ~ value ~ ' as decimal(28, 6))') }}
{%- endmacro %}
