{#- What differs between engines, in one place: DuckDB (the default) and Spark. -#}

{#- Whole days from the first date to the second. -#}
{% macro days_between(from_date, to_date) -%}
    {{ adapter.dispatch('days_between', 'customer_marts')(from_date, to_date) }}
{%- endmacro %}
{% macro default__days_between(from_date, to_date) -%}
    date_diff('day', {{ from_date }}, {{ to_date }})
{%- endmacro %}
{% macro spark__days_between(from_date, to_date) -%}
    datediff({{ to_date }}, {{ from_date }})
{%- endmacro %}

{#- Seconds from the first time to the second. -#}
{% macro seconds_between(from_time, to_time) -%}
    {{ adapter.dispatch('seconds_between', 'customer_marts')(from_time, to_time) }}
{%- endmacro %}
{% macro default__seconds_between(from_time, to_time) -%}
    date_diff('second', {{ from_time }}, {{ to_time }})
{%- endmacro %}
{% macro spark__seconds_between(from_time, to_time) -%}
    timestampdiff(second, {{ from_time }}, {{ to_time }})
{%- endmacro %}

{#- Whole calendar months from the month of the first date to the month of the second. -#}
{% macro months_between(from_date, to_date) -%}
    {{ adapter.dispatch('months_between', 'customer_marts')(from_date, to_date) }}
{%- endmacro %}
{% macro default__months_between(from_date, to_date) -%}
    date_diff('month', {{ from_date }}, {{ to_date }})
{%- endmacro %}
{% macro spark__months_between(from_date, to_date) -%}
    cast(
        months_between(date_trunc('month', {{ to_date }}), date_trunc('month', {{ from_date }}))
        as int
    )
{%- endmacro %}

{#- Whole months that have passed from the first date to the second, at a month's end as many as the
    calendar's: of 20 May none on 19 June, one on 20 June; of 31 May one on 30 June. -#}
{% macro months_passed(from_date, to_date) -%}
    {%- set months = months_between(from_date, to_date) -%}
    {{ months }} - case when {{ add_months(from_date, months) }} > {{ to_date }} then 1 else 0 end
{%- endmacro %}

{#- The date that lies so many days later. -#}
{% macro add_days(from_date, days) -%}
    {{ adapter.dispatch('add_days', 'customer_marts')(from_date, days) }}
{%- endmacro %}
{% macro default__add_days(from_date, days) -%}
    cast({{ from_date }} + cast({{ days }} as integer) as date)
{%- endmacro %}
{% macro spark__add_days(from_date, days) -%}
    date_add({{ from_date }}, cast({{ days }} as int))
{%- endmacro %}

{#- The date so many calendar months later; the 29 February of a common year is the 28. -#}
{% macro add_months(from_date, months) -%}
    {{ adapter.dispatch('add_months', 'customer_marts')(from_date, months) }}
{%- endmacro %}
{% macro default__add_months(from_date, months) -%}
    cast({{ from_date }} + to_months({{ months }}) as date)
{%- endmacro %}
{% macro spark__add_months(from_date, months) -%}
    add_months({{ from_date }}, {{ months }})
{%- endmacro %}

{#- The first day of the date's month. Both engines truncate alike; the type differs. -#}
{% macro month_start(of_date) -%}
    cast(date_trunc('month', {{ of_date }}) as date)
{%- endmacro %}

{#- One row per month start between two month starts, both included. -#}
{% macro explode_months(first_month, last_month) -%}
    {{ adapter.dispatch('explode_months', 'customer_marts')(first_month, last_month) }}
{%- endmacro %}
{% macro default__explode_months(first_month, last_month) -%}
    unnest(generate_series({{ first_month }}, {{ last_month }}, interval 1 month))
{%- endmacro %}
{% macro spark__explode_months(first_month, last_month) -%}
    explode(sequence({{ first_month }}, {{ last_month }}, interval 1 month))
{%- endmacro %}

{#- One row per day between two dates, both included. -#}
{% macro explode_days(first_day, last_day) -%}
    {{ adapter.dispatch('explode_days', 'customer_marts')(first_day, last_day) }}
{%- endmacro %}
{% macro default__explode_days(first_day, last_day) -%}
    unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day))
{%- endmacro %}
{% macro spark__explode_days(first_day, last_day) -%}
    explode(sequence({{ first_day }}, {{ last_day }}, interval 1 day))
{%- endmacro %}

{#- The Monday of the date's week (ISO 8601); the first day of its quarter; of its year. -#}
{% macro week_start(of_date) -%}
    cast(date_trunc('week', {{ of_date }}) as date)
{%- endmacro %}
{% macro quarter_start(of_date) -%}
    cast(date_trunc('quarter', {{ of_date }}) as date)
{%- endmacro %}
{% macro year_start(of_date) -%}
    cast(date_trunc('year', {{ of_date }}) as date)
{%- endmacro %}

{#- The text with every match of a regular expression replaced; \1 is its first group. -#}
{% macro replace_pattern(text, pattern, replacement) -%}
    {{ adapter.dispatch('replace_pattern', 'customer_marts')(text, pattern, replacement) }}
{%- endmacro %}
{% macro default__replace_pattern(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
{% macro spark__replace_pattern(text, pattern, replacement) -%}
    regexp_replace(
        {{ text }},
        '{{ pattern | replace('\\', '\\\\') }}',
        '{{ replacement | replace('\\', '$') }}'
    )
{%- endmacro %}

{#- Predicate: the text has a match of a regular expression. -#}
{% macro has_pattern(text, pattern) -%}
    {{ adapter.dispatch('has_pattern', 'customer_marts')(text, pattern) }}
{%- endmacro %}
{% macro default__has_pattern(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}
{% macro spark__has_pattern(text, pattern) -%}
    {{ text }} rlike '{{ pattern | replace('\\', '\\\\') }}'
{%- endmacro %}

{#- What an expression makes of a text that it speaks of more than once, as `given_text`. -#}
{% macro made_of_text(text, expression) -%}
    {{ adapter.dispatch('made_of_text', 'customer_marts')(text, expression) }}
{%- endmacro %}
{% macro default__made_of_text(text, expression) -%}
    list_transform([{{ text }}], lambda given_text: {{ expression }})[1]
{%- endmacro %}
{% macro spark__made_of_text(text, expression) -%}
    transform(array({{ text }}), given_text -> {{ expression }})[0]
{%- endmacro %}

{#- dbt-duckdb's own safe_cast is a plain cast. -#}
{% macro duckdb__safe_cast(field, type) -%}
    try_cast({{ field }} as {{ type }})
{%- endmacro %}

{#- An exact product or sum as money: two decimals, halves away from zero. The value must be a
    decimal: rounding a double would decide halves by its binary error. -#}
{% macro to_amount(value) -%}
    cast(round({{ value }}, 2) as decimal(18, 2))
{%- endmacro %}

{#- An amount as a factor. Nineteen digits: DuckDB keeps the product of two decimals of eighteen in
    eighteen, which 100 million of any currency would not fit. -#}
{% macro factor(amount) -%}
    cast({{ amount }} as decimal(19, 2))
{%- endmacro %}

{#- An amount times an exact rate, as money. -#}
{% macro amount_times(amount, rate) -%}
    {{ to_amount(factor(amount) ~ ' * ' ~ rate) }}
{%- endmacro %}

{#- A sum of money over rows, zero where there is none. -#}
{% macro sum_amount(value) -%}
    cast(coalesce(sum({{ value }}), 0) as decimal(18, 2))
{%- endmacro %}

{#- The mean of an exact total, as a double; null where there is nothing to divide by. -#}
{% macro mean_of(total, count) -%}
    cast({{ total }} as double) / nullif({{ count }}, 0)
{%- endmacro %}

{#- The known values of a group as one list, in the order of another column. -#}
{% macro list_in_order(value, order_by) -%}
    {{ adapter.dispatch('list_in_order', 'customer_marts')(value, order_by) }}
{%- endmacro %}
{#- The first so many, the most DuckDB takes: a list with an order of its own is three times as
    dear. -#}
{% macro default__list_in_order(value, order_by) -%}
    arg_min({{ value }}, {{ order_by }}, 999999)
{%- endmacro %}
{% macro spark__list_in_order(value, order_by) -%}
    transform(
        array_sort(
            collect_list(
                case
                    when {{ value }} is not null
                        then struct({{ order_by }} as place, {{ value }} as value)
                end
            )
        ),
        item -> item.value
    )
{%- endmacro %}

{#- Several quantiles, interpolated, of the first so many of a list; null of none. A window function
    would keep all values of every row's frame in order and takes four times as long. -#}
{% macro quantiles_of_first(list, count, shares) -%}
    {{ adapter.dispatch('quantiles_of_first', 'customer_marts')(list, count, shares) }}
{%- endmacro %}
{% macro default__quantiles_of_first(list, count, shares) -%}
    list_aggregate(
        {{ list }}[1:cast({{ count }} as bigint)], 'quantile_cont', [{{ shares | join(', ') }}]
    )
{%- endmacro %}
{% macro spark__quantiles_of_first(list, count, shares) -%}
    case
        when {{ count }} > 0
            then transform(
                array({{ shares | join(', ') }}),
                share -> aggregate(
                    slice(
                        sort_array(slice({{ list }}, 1, cast({{ count }} as int))),
                        cast(floor(share * ({{ count }} - 1)) as int) + 1,
                        2
                    ),
                    cast(null as double),
                    (low, high) -> case
                        when low is null then high
                        else low
                            + (share * ({{ count }} - 1) - floor(share * ({{ count }} - 1)))
                            * (high - low)
                    end
                )
            )
    end
{%- endmacro %}

{#- The first, second, ... of a list. -#}
{% macro item_of(list, position) -%}
    {{ adapter.dispatch('item_of', 'customer_marts')(list, position) }}
{%- endmacro %}
{% macro default__item_of(list, position) -%}
    {{ list }}[{{ position }}]
{%- endmacro %}
{% macro spark__item_of(list, position) -%}
    {{ list }}[{{ position - 1 }}]
{%- endmacro %}

{#- The last value that is not null, as a window function. -#}
{% macro last_known(value) -%}
    {{ adapter.dispatch('last_known', 'customer_marts')(value) }}
{%- endmacro %}
{% macro default__last_known(value) -%}
    last_value({{ value }} ignore nulls)
{%- endmacro %}
{% macro spark__last_known(value) -%}
    last_value({{ value }}, true)
{%- endmacro %}

{#- What a feed adds up to: zero where it has no row, null where there is no such feed. -#}
{% macro zero_where_fed(has_feed, value) -%}
    case when {{ has_feed }} then coalesce({{ value }}, 0) end
{%- endmacro %}

{#- A boolean that breaks the statement where it is evaluated. -#}
{% macro break_with(message) -%}
    {{ adapter.dispatch('break_with', 'customer_marts')(message) }}
{%- endmacro %}
{% macro default__break_with(message) -%}
    cast(error('{{ message }}') as boolean)
{%- endmacro %}
{% macro spark__break_with(message) -%}
    cast(raise_error('{{ message }}') as boolean)
{%- endmacro %}

{#- A number of a column combination's values in all rows, whatever their order: equal for equal rows. -#}
{% macro sum_of_hashes(columns) -%}
    {{ adapter.dispatch('sum_of_hashes', 'customer_marts')(columns) }}
{%- endmacro %}
{% macro default__sum_of_hashes(columns) -%}
    sum(cast(hash({{ columns | join(', ') }}) as hugeint))
{%- endmacro %}
{% macro spark__sum_of_hashes(columns) -%}
    sum(cast(xxhash64({{ columns | join(', ') }}) as decimal(38, 0)))
{%- endmacro %}
