{#-
    A column of the run's context, as a literal where the build states it (MARTS_RUN_CONTEXT: column to
    SQL literal). DuckDB takes a literal through views and joins to the scan, where statistics tell
    which rows to read; a scalar subquery is joined after all were read. A view outlives the run that
    made it, and unit tests give their own context: both read the table, as dbt by itself does.
-#}
{% macro of_run_context(column) -%}
    {%- set context = ref('stg_landing__run_context') -%}
    {%- set stated = stated_run_context() -%}
    {{ stated[column] if column in stated else '(select ' ~ column ~ ' from ' ~ context ~ ')' }}
{%- endmacro %}

{#- The literals that the build states: none for a view or a unit test, nor while dbt parses. -#}
{% macro stated_run_context() -%}
    {%- if execute and model.config.materialized not in ['view', 'unit'] -%}
        {{ return(fromjson(env_var('MARTS_RUN_CONTEXT', '{}'))) }}
    {%- endif -%}
    {{ return({}) }}
{%- endmacro %}

{#- True in a release that goes on from one of the same code, whose build checked what hangs on the
    code alone. -#}
{% macro goes_on_from_same_code() -%}
    {{ return(stated_run_context().get('is_rebuild') == 'false') }}
{%- endmacro %}

{#- The as-of date of this run. Every model that ages, counts or cuts off uses it; nothing reads
    the clock. -#}
{% macro as_of_date() -%}
    {{ of_run_context('as_of') }}
{%- endmacro %}

{#- That of the release this run goes on from; null on a first one. -#}
{% macro parent_as_of() -%}
    {{ of_run_context('parent_as_of') }}
{%- endmacro %}

{#- A day recomputed in the past takes rows out: the days between the two go either way. -#}
{% macro earlier_as_of_date() -%}
    least({{ parent_as_of() }}, {{ as_of_date() }})
{%- endmacro %}
{% macro later_as_of_date() -%}
    greatest({{ parent_as_of() }}, {{ as_of_date() }})
{%- endmacro %}

{#- The company's reporting currency. -#}
{% macro reporting_currency() -%}
    {{ of_run_context('reporting_currency') }}
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

{#- What holds today of a table of months: its rows of the month of the as-of date. -#}
{% macro rows_of_this_month(model) -%}
    (
        select * from {{ ref(model) }}
        where month_on = {{ month_start(as_of_date()) }}
    )
{%- endmacro %}
