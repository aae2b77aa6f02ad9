{#- The share of rows that rank below this one, half of its equals included: between 0 and 1. -#}
{% macro share_ranking_lower(column) -%}
    -- whole numbers up to the one division: a share on a cut point must not miss it by a bit
        cast(
            rank() over (order by {{ column }})
            - rank() over (order by {{ column }} desc)
            + count(*) over () as double
        ) / (2 * count(*) over ())
{%- endmacro %}

{#- The lower bounds of the scores 2 to 5, one column each: recency_2 and so on. -#}
{% macro cut_points_by_column(measures) -%}
    {%- for measure in measures -%}
        {%- set is_last_measure = loop.last -%}
        {%- for score in [2, 3, 4, 5] %}
        max(share_from) filter (where measure = '{{ measure }}' and score = {{ score }})
            as {{ measure }}_{{ score }}{{ ',' if not (loop.last and is_last_measure) }}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{#- The score 1 to 5 of a share under the cut points in force (5 is best). -#}
{% macro score_by_cuts(measure) -%}
    1
        {%- for score in [2, 3, 4, 5] %}
        + cast(
            ranked_buyers.{{ measure }}_share >= score_cuts.{{ measure }}_{{ score }} as integer
        )
        {%- endfor %}
{%- endmacro %}

{#- The class by the cumulative share of those ahead: exact, by multiplying and not dividing. -#}
{% macro abc_class_of(measure) -%}
    {%- set before = 'cumulated_amounts.' ~ measure ~ '_through - cumulated_amounts.'
        ~ measure ~ '_of_equals' -%}
    case
            when cumulated_amounts.{{ measure }}_amount = 0 then 'C'
            when {{ before }} < abc_cuts.b_from * cumulated_amounts.{{ measure }}_total then 'A'
            when {{ before }} < abc_cuts.c_from * cumulated_amounts.{{ measure }}_total then 'B'
            else 'C'
        end
{%- endmacro %}

{#- The rule's sentence with the customer's own numbers in it. -#}
{% macro fill_in_days(sentence) -%}
    {%- set filled = namespace(sql=sentence) -%}
    {%- for name, value in {
        'recency_days': 'staged_customers.recency_days',
        'tenure_days': 'staged_customers.tenure_days',
        'gap_days': 'staged_customers.gap_days',
        'first_ordered_on': 'staged_customers.first_ordered_on',
        'threshold_days': 'lifecycle_rules.threshold_days',
    }.items() -%}
        {%- set filled.sql = "replace(" ~ filled.sql ~ ", '{" ~ name ~ "}', coalesce(cast("
            ~ value ~ " as " ~ dbt.type_string() ~ "), ''))" -%}
    {%- endfor -%}
    {{ filled.sql }}
{%- endmacro %}
