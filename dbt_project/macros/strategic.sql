{#- The criteria of a strategic customer, in the order of the score's columns. -#}
{% macro strategic_criteria() -%}
    {{ return([
        'amount', 'credit', 'potential', 'loyalty', 'dependence', 'influence', 'satisfaction',
        'frequency', 'history',
    ]) }}
{%- endmacro %}

{#- First day of the last 12 months: the as-of month and the eleven before it. -#}
{% macro start_of_last_12_months() -%}
    {{ add_months(month_start(as_of_date()), -11) }}
{%- endmacro %}

{#- First day of the month that is not over: the as-of month, or on its last day the next. -#}
{% macro start_of_month_not_over() -%}
    {{ month_start(add_days(as_of_date(), 1)) }}
{%- endmacro %}

{#- First day of the 12 months that are over; `years_before` 1 for the 12 before them. -#}
{% macro start_of_12_whole_months(years_before=0) -%}
    {{ add_months(start_of_month_not_over(), -12 - 12 * years_before) }}
{%- endmacro %}

{#- The text once for each criterion, whose name stands for :criterion in it. -#}
{% macro each_criterion(text, separator=',\n        ') -%}
    {%- for criterion in strategic_criteria() -%}
        {{ text | replace(':criterion', criterion) }}{{ separator if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- The figure of a customer that a screening rule asks for; null for a name that none goes by. -#}
{% macro screened_value(measure, relation) -%}
    case {{ measure }}
            {%- for name, column in screening_measures().items() %}
            when '{{ name }}' then {{ relation }}.{{ column }}
            {%- endfor %}
        end
{%- endmacro %}

{#- What a screening rule may ask: the criteria by name, and figures of strategic_measures. -#}
{% macro screening_measures() -%}
    {{ return({
        'recency_days': 'recency_days',
        'history_days': 'history_measure',
        'amount_percentile': 'amount_percentile',
        'income_rate': 'income_rate',
        'default': 'default_measure',
        'amount': 'amount_measure',
        'credit': 'credit_measure',
        'potential': 'potential_measure',
        'loyalty': 'loyalty_measure',
        'dependence': 'dependence_measure',
        'influence': 'influence_measure',
        'satisfaction': 'satisfaction_measure',
        'frequency': 'frequency_measure',
    }) }}
{%- endmacro %}

{#- The share of the known values that lie lower, half of the equals included: between 0 and 1,
    and null where the value is unknown. -#}
{% macro percentile_of_known(column) -%}
    case
            when {{ column }} is not null
                then {{ share_ranking_lower(column, column ~ ' is null') }}
        end
{%- endmacro %}

{#- A double as an exact number, so that a sum does not hang on the order of its rows. -#}
{% macro to_exact(value) -%}
    cast({{ value }} as decimal(38, 15))
{%- endmacro %}
