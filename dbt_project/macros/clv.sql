{#- A double as money: by a decimal, so that halves are decided alike everywhere. -#}
{% macro cents_of(value) -%}
    {{ to_amount('cast(' ~ value ~ ' as decimal(28, 6))') }}
{%- endmacro %}

{#- Whole years from one date to a later one: the anniversaries passed. -#}
{% macro whole_years_between(from_date, to_date) -%}
    {%- set years = (
        "cast(floor(cast(" ~ months_between(from_date, to_date) | trim ~ " as double) / 12) as integer)"
    ) -%}
    {{ years }} - case
        when {{ add_months(from_date, '12 * ' ~ years) }} > {{ to_date }} then 1
        else 0
    end
{%- endmacro %}
