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

{#- Predicate: a rule of loss_given_default fits the profile; of several the first counts. -#}
{% macro loss_rule_fits(rules, profiles) -%}
    coalesce({{ rules }}.customer_type, {{ profiles }}.customer_type) = {{ profiles }}.customer_type
            and coalesce({{ rules }}.size_class, {{ profiles }}.size_class)
            = {{ profiles }}.size_class
{%- endmacro %}

{#- Predicate: a spell of int_credit_defaults lasts on the day. -#}
{% macro is_default_on(defaults, on_date) -%}
    {{ defaults }}.default_on <= {{ on_date }}
            and coalesce({{ defaults }}.cured_on > {{ on_date }}, true)
{%- endmacro %}

{#- The rate of a claim: its bucket's, and of a customer in default at least its default_rate. -#}
{% macro rate_of_claim(applied_rate, default_rate) -%}
    greatest({{ applied_rate }}, coalesce({{ default_rate }}, 0))
{%- endmacro %}

{#- When every month of every customer is computed again: what a write-off in force takes off is of
    its credit's own months, and the rules of default in force hold for all spells. Of all other
    parameters a month takes those in force at its end. -#}
{% macro provisions_rebuilt_when() -%}
    {{ parameters_moved('write_offs') }}
    or {{ parameters_moved('credit_default_rules') }}
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
