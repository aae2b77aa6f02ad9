{#- A balance times a loss rate, to the cent: the rate has eight decimals. -#}
{% macro provision_of(amount, rate) -%}
    {{ amount_times(amount, 'cast(' ~ rate ~ ' as decimal(9, 8))') }}
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

{#- When every month of every customer is computed again: what a write-off in force takes off is of
    its credit's own months. Of all other parameters a month takes those in force at its end. -#}
{% macro provisions_rebuilt_when() -%}
    parent_as_of is null or {{ parameters_moved('write_offs') }}
{%- endmacro %}

{#- The first month that ends on another day than in the parent release: as claims age, its balances
    stand elsewhere without any row changing. -#}
{% macro first_running_month() -%}
    {{ month_start(
        'least(' ~ as_of_date() ~ ', coalesce(' ~ parent_as_of() ~ ', ' ~ as_of_date() ~ '))'
    ) }}
{%- endmacro %}

{#- The first month in which any customer's balances moved otherwise than in the parent release; on a
    rebuild the first of all. -#}
{% macro first_moved_month() -%}
    {%- if run_asks_for_rebuild(provisions_rebuilt_when()) -%}
        {{ beginning_of_time() }}
    {%- else -%}
        least(
            {{ first_running_month() }},
            (select min(first_month_on) from {{ ref('int_customers_changed') }})
        )
    {%- endif -%}
{%- endmacro %}

{#- The first month in which a rate or the day it ends on is another than in the parent release. -#}
{% macro first_provision_month() -%}
    (select first_month_on from {{ ref('int_provision_months_changed') }})
{%- endmacro %}

{#- Pre-hook: removes everybody's months from the given one on; delete_changed_months_of_customers
    removes the changed customers' months before, rows_of_months_again reads what both removed. -#}
{% macro delete_months_from(first_month) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where month_on >= {{ first_month }}
    {%- endif -%}
{%- endmacro %}
