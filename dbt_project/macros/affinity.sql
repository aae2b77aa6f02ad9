{#- A parameter of product affinity in force on the as-of date. -#}
{% macro affinity_rule(parameter) -%}
    (select {{ parameter }} from {{ ref('affinity_rules') }} where {{ is_in_force() }})
{%- endmacro %}

{#- Lower bound of the Wilson interval of a share: `count` of `total`, at the seed's quantile. -#}
{% macro wilson_low(count, total, quantile) -%}
    {%- set n = 'cast(' ~ total ~ ' as double)' -%}
    greatest(0, {{ wilson_bound('(' ~ count ~ ' / ' ~ n ~ ')', n, quantile, '-') }})
{%- endmacro %}

{#- The exact median of amounts: two more decimals hold the middle of two of them. -#}
{% macro median_amount(amount) -%}
    {{ adapter.dispatch('median_amount', 'customer_marts')(amount) }}
{%- endmacro %}
{% macro default__median_amount(amount) -%}
    median(cast({{ amount }} as decimal(28, 4)))
{%- endmacro %}
{% macro spark__median_amount(amount) -%}
    cast(median(cast({{ amount }} as decimal(28, 4))) as decimal(28, 4))
{%- endmacro %}
