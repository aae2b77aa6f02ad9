{#- The as-of date of this run. Every model that ages, counts or cuts off uses it; nothing reads
    the clock. A scalar subquery, so that unit tests can give their own run context. -#}
{% macro as_of_date() -%}
    (select as_of from {{ ref('stg_landing__run_context') }})
{%- endmacro %}

{#- The company's reporting currency. -#}
{% macro reporting_currency() -%}
    (select reporting_currency from {{ ref('stg_landing__run_context') }})
{%- endmacro %}

{#- Predicate on a dated parameter seed: its row is in force on the as-of date. -#}
{% macro is_in_force() -%}
    valid_from <= {{ as_of_date() }} and (valid_to is null or valid_to > {{ as_of_date() }})
{%- endmacro %}

{#- The same for a past month: the row was in force on that month's state_on. -#}
{% macro is_in_force_on(seed, on_date) -%}
    {{ seed }}.valid_from <= {{ on_date }}
        and ({{ seed }}.valid_to is null or {{ seed }}.valid_to > {{ on_date }})
{%- endmacro %}

{#- The day a month's state is told for: its last day, or the as-of date. -#}
{% macro state_on(month_on) -%}
    least({{ add_days(add_months(month_on, 1), -1) }}, {{ as_of_date() }})
{%- endmacro %}

{#- The parameters of a seed (parameter, value; area where it has one) in force, one column each. -#}
{% macro parameters_in_force(seed, parameters, area=none) -%}
    (
        select
            {%- for parameter in parameters %}
                max(case when parameter = '{{ parameter }}' then value end)
                    as {{ parameter }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ ref(seed) }}
        where {{ is_in_force() }}{% if area %} and area = '{{ area }}'{% endif %}
    )
{%- endmacro %}
