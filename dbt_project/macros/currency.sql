{#- What one unit of a document's currency is worth in the reporting currency on the document's
    day, given that day's rate; null where no rate is known. -#}
{% macro rate_into_reporting(currency, rate_of_day) -%}
    case
            when {{ currency }} = {{ reporting_currency() }} then cast(1 as decimal(18, 8))
            else {{ rate_of_day }}
        end
{%- endmacro %}

{#- A price per unit in the reporting currency. -#}
{% macro to_price(value) -%}
    cast(round({{ value }}, 4) as decimal(18, 4))
{%- endmacro %}
