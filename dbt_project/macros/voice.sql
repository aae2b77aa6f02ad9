{#- The trailing window in months, the month itself included: columns are named after it. -#}
{% macro voice_window_months() -%}
    {{ return(12) }}
{%- endmacro %}
