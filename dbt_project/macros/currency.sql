{#- What one unit of a document's currency is worth in the reporting currency on the document's
    day, given that day's rate; null where no rate is known. -#}
{% macro rate_into_reporting(currency, rate_of_day) -%}
    case
            when {{ currency }} = {{ reporting_currency() }} then cast(1 as decimal(18, 8))
            else {{ rate_of_day }}
        end
{%- endmacro %}

{#- A document's amount in the reporting currency. At a rate of one, which is most of a company's
    documents, the product is the amount itself: multiplying and rounding so wide was half of the
    order lines' cost. -#}
{% macro in_reporting_currency(amount, fx_rate) -%}
    case
            when {{ fx_rate }} = 1 then cast({{ amount }} as decimal(18, 2))
            else {{ amount_times(amount, fx_rate) }}
        end
{%- endmacro %}

{#- A document's price per unit in the reporting currency; four decimals. -#}
{% macro price_in_reporting_currency(price, fx_rate) -%}
    case
            when {{ fx_rate }} = 1 then cast({{ price }} as decimal(18, 4))
            else cast(round(cast({{ price }} as decimal(19, 4)) * {{ fx_rate }}, 4) as decimal(18, 4))
        end
{%- endmacro %}
