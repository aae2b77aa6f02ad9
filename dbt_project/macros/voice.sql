{#- The trailing window in months, the month itself included: columns are named after it. -#}
{% macro voice_window_months() -%}
    {{ return(12) }}
{%- endmacro %}

{#- The voice's parameters in force, one column each; a parameter with a code is joined by it. -#}
{% macro voice_parameters_by_column(parameters) -%}
    (
        select
            {%- for parameter in parameters %}
                max(case when parameter = '{{ parameter }}' then value end)
                    as {{ parameter }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ ref('voice_parameters') }}
        where {{ is_in_force() }}
    )
{%- endmacro %}

{#- A feed is there: it is configured or it has brought rows. -#}
{% macro has_feed(feed) -%}
    exists (
        select 1
        from {{ ref('stg_landing__feeds') }}
        where feed = '{{ feed }}' and (is_configured or count_rows > 0)
    )
{%- endmacro %}
