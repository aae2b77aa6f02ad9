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
