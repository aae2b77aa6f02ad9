{#- The grain: the columns never repeat together, and none is null unless listed as nullable. -#}
{% test unique_combination(model, columns, nullable=[]) %}
    select {{ columns | join(', ') }}, count(*) as count_rows
    from {{ model }}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in columns if column not in nullable %} or {{ column }} is null {%- endfor %}
{% endtest %}

{#- No column of the list is below zero. -#}
{% test not_negative(model, columns) %}
    select *
    from {{ model }}
    where {% for column in columns %}{{ 'or ' if not loop.first }}{{ column }} < 0 {% endfor %}
{% endtest %}

{#- The expression holds on every row; null counts as a failure. -#}
{% test holds(model, expression) %}
    select *
    from {{ model }}
    where not coalesce({{ expression }}, false)
{% endtest %}

{#-
    An aggregate of this model equals an aggregate of another, exactly, in total or by key.
    `where` and `to_where` narrow the two sides; `to_as_of` names a date column of the other side
    that must not lie after the as-of date.
-#}
{% test sums_to(
    model, expression, to, to_expression=none, group_by=[], where='true', to_where='true',
    to_as_of=none
) %}
    {%- set keys = group_by | join(', ') %}
    with here as (
        select {{ keys ~ ', ' if keys }}coalesce({{ expression }}, 0) as total
        from {{ model }}
        where {{ where }}
        {{ 'group by ' ~ keys if keys }}
    ),

    there as (
        select {{ keys ~ ', ' if keys }}coalesce({{ to_expression or expression }}, 0) as total
        from {{ to }}
        where {{ to_where }} {% if to_as_of %}and {{ to_as_of }} <= {{ as_of_date() }}{% endif %}
        {{ 'group by ' ~ keys if keys }}
    )

    select here.total as total_here, there.total as total_there
    from here
    full outer join there
        on
            true
            {%- for key in group_by %}
            and here.{{ key }} = there.{{ key }}
            {%- endfor %}
    -- a key that only one side knows must carry nothing
    where coalesce(here.total, 0) <> coalesce(there.total, 0)
{% endtest %}

{#- Nothing lies after the as-of date, and amounts are in the reporting currency. -#}
{% test known_as_of(model, column, has_currency=true) %}
    select *
    from {{ model }}
    where
        {{ column }} > {{ as_of_date() }}
        {%- if has_currency %}
        or currency <> {{ reporting_currency() }}
        {%- endif %}
{% endtest %}
