{#- A balance times a loss rate, to the cent: the rate has eight decimals. -#}
{% macro provision_of(amount, rate) -%}
    {{ to_amount('cast(' ~ amount ~ ' as decimal(19, 2)) * cast(' ~ rate ~ ' as decimal(9, 8))') }}
{%- endmacro %}

{#- The month before. -#}
{% macro month_before(month_on) -%}
    {{ add_months(month_on, -1) }}
{%- endmacro %}
