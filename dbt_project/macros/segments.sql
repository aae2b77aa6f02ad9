{#- The share of the rows of the same month, or of another partition, that rank below this one, half
    of its equals included: 0 to 1. -#}
{% macro share_ranking_lower(column, among='month_on') -%}
    -- whole numbers up to the one division: a share on a cut point must not miss it by a bit
        cast(
            -- those below, and those below with the equals
            rank() over (partition by {{ among }} order by {{ column }}) - 1
            + count(*) over (partition by {{ among }} order by {{ column }}) as double
        ) / (2 * count(*) over (partition by {{ among }}))
{%- endmacro %}

{#- The same of a value that many rows of a month share, told once per value: the reader groups by
    month_on and the column, and need not sort every row. -#}
{% macro share_of_value_ranking_lower(column) -%}
    cast(
            -- those below and those below with the equals
            2 * sum(count(*)) over (partition by month_on order by {{ column }})
            - count(*) as double
        ) / (2 * sum(count(*)) over (partition by month_on))
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

{#- The parameters of the segments in force, one column each; the reader groups by its month. -#}
{% macro parameters_by_column(parameters) -%}
    {%- for parameter in parameters %}
        max(segment_parameters.value)
            filter (where segment_parameters.parameter = '{{ parameter }}')
            as {{ parameter }}{{ ',' if not loop.last }}
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

{#- What the rows of the same month ahead of this one bring together, its equals left out: one sort
    serves the sum, the rank and the count. -#}
{% macro amount_ahead(amount) -%}
    sum({{ amount }}) over (partition by month_on order by {{ amount }} desc)
        - {{ amount }} * (
            count(*) over (partition by month_on order by {{ amount }} desc)
            - rank() over (partition by month_on order by {{ amount }} desc)
            + 1
        )
{%- endmacro %}

{#- The class by the share of those ahead: exact, by multiplying and not dividing. `classes` are in
    order, with the column of the cut that each but the first begins at. -#}
{% macro class_by_share_ahead(measure, first_class, cuts, last_class) -%}
    case
            when {{ measure }}_amount = 0 then '{{ last_class }}'
            {%- set passed = namespace(name=first_class) %}
            {%- for class, cut in cuts.items() %}
            when {{ measure }}_ahead < {{ cut }} * {{ measure }}_total then '{{ passed.name }}'
            {%- set passed.name = class %}
            {%- endfor %}
            else '{{ last_class }}'
        end
{%- endmacro %}

{#- Days after which a stage ends: so many times the usual longest gap within the stage's bounds,
    or the fixed days where the own rhythm is not known. In tenths of a day, as the reason shows
    them: 102 days are not more than a bound of 101.96 that reads 102. -#}
{% macro stage_threshold(stage, gap) -%}
    cast(
            case
                when lifecycle_basis = 'own_rhythm'
                    then
                        least(
                            greatest({{ gap }} * {{ stage }}_multiple, {{ stage }}_at_least),
                            {{ stage }}_at_most
                        )
                else {{ stage }}_fallback
            end as decimal(9, 1)
        )
{%- endmacro %}

{#- The classes whose changes are followed month by month. -#}
{% macro followed_classes() -%}
    {{ return(['rfm_segment', 'abc_class', 'lifecycle', 'value_tier', 'growth_class']) }}
{%- endmacro %}
