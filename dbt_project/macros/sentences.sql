{#- A seed's sentence with the row's own values in its {placeholders}. Of two words in brackets the
    first stands after a 1, the second after any other number: {days} [day|days]. A part in
    <<double angles>> is left out where a value of it is not known; elsewhere that shows as ?.
    A sentence filled in by two steps has the choices made by the last (`is_whole`). -#}
{% macro fill_in(sentence, values, is_whole=true) -%}
    {%- set filled = namespace(sql=sentence) -%}
    {%- for name, value in values.items() -%}
        {%- set filled.sql = "replace(" ~ filled.sql ~ ", '{" ~ name ~ "}', coalesce(cast("
            ~ value ~ " as " ~ dbt.type_string() ~ "), '{?}'))" -%}
    {%- endfor -%}
    {%- if is_whole -%}
        {#- Chinese has one form. -#}
        {%- if not sentence.endswith('_zh') -%}
            {%- set singular = where_marked(['1 '], replace_pattern(
                'given_text', '((^|[^0-9.,])1 [a-z -]*)\\[([^|\\]]*)[|][^\\]]*\\]', '\\1\\3'
            )) -%}
            {%- set filled.sql = made_of_text(filled.sql, where_marked(['['], replace_pattern(
                singular, '\\[[^|\\]]*[|]([^\\]]*)\\]', '\\1'
            ))) -%}
        {%- endif -%}
        {%- set known = namespace(
            sql=replace_pattern('given_text', '<<[^<>]*[{][?][}][^<>]*>>', '')
        ) -%}
        {%- for mark, text in {'<<': '', '>>': '', '{?}': '?'}.items() -%}
            {%- set known.sql = "replace(" ~ known.sql ~ ", '" ~ mark ~ "', '" ~ text ~ "')" -%}
        {%- endfor -%}
        {%- set filled.sql = made_of_text(
            filled.sql, where_marked(['<<', '>>', '{?}'], known.sql)
        ) -%}
    {%- endif -%}
    {{ filled.sql }}
{%- endmacro %}

{#- Within `made_of_text`: the text, rewritten only where one of the marks is in it; a pattern costs
    thirty times as much as to look for a mark. -#}
{% macro where_marked(marks, rewritten) -%}
    case
        when
            {%- for mark in marks %}
            contains(given_text, '{{ mark }}'){{ ' or' if not loop.last }}
            {%- endfor %}
            then {{ rewritten }}
        else given_text
    end
{%- endmacro %}

{#- A number without decimals, for a sentence. -#}
{% macro as_whole(number) -%}
    cast(round({{ number }}) as bigint)
{%- endmacro %}

{#- A number without decimals, its thousands apart, for a sentence that a person reads. -#}
{% macro as_grouped(number) -%}
    {{ adapter.dispatch('as_grouped', 'customer_marts')(number) }}
{%- endmacro %}
{% macro default__as_grouped(number) -%}
    format('{:,}', {{ as_whole(number) }})
{%- endmacro %}
{% macro spark__as_grouped(number) -%}
    format_number({{ as_whole(number) }}, 0)
{%- endmacro %}

{#- An amount to the cent, its thousands apart, for a sentence that a person reads. -#}
{% macro as_money(amount) -%}
    {{ adapter.dispatch('as_money', 'customer_marts')(amount) }}
{%- endmacro %}
{% macro default__as_money(amount) -%}
    format('{:,.2f}', cast({{ amount }} as double))
{%- endmacro %}
{% macro spark__as_money(amount) -%}
    format_number(cast({{ amount }} as decimal(18, 2)), 2)
{%- endmacro %}

{#- A number with one decimal, for a sentence. -#}
{% macro with_one_decimal(number) -%}
    cast(round({{ number }}, 1) as decimal(18, 1))
{%- endmacro %}

{#- A number with one decimal, with none where that is zero, for a sentence. -#}
{% macro with_decimal_if_any(number) -%}
    {{ with_decimals(number, with_one_decimal(number) ~ ' % 1') }}
{%- endmacro %}

{#- A percentage that a class is told by, cut after one decimal, not rounded: 79.96 % is not yet 80 %
    and -10.04 % is below -10 %, and the sentence must not say otherwise. -#}
{% macro cut_percentage(share) -%}
    {{ with_decimal_if_any('floor(round(1000 * ' ~ share ~ ', 6)) / 10') }}
{%- endmacro %}

{#- A number for a sentence, whole or with one decimal as the row itself says. -#}
{% macro with_decimals(number, decimals) -%}
    case
        when {{ decimals }} = 0 then cast({{ as_whole(number) }} as {{ dbt.type_string() }})
        else cast({{ with_one_decimal(number) }} as {{ dbt.type_string() }})
    end
{%- endmacro %}

{#- The texts of the ranks 1 to 3 of a group, as one text; null where there is none. -#}
{% macro top_three(text, rank, where='true') -%}
    nullif(concat_ws(
            ', '
            {%- for place in [1, 2, 3] %},
            max({{ text }}) filter (where {{ where }} and {{ rank }} = {{ place }})
            {%- endfor %}
        ), '')
{%- endmacro %}

{#- The texts of a group side by side in the order given; null where there is none. -#}
{% macro join_texts(text, separator, order_by) -%}
    {{ adapter.dispatch('join_texts', 'customer_marts')(text, separator, order_by) }}
{%- endmacro %}
{% macro default__join_texts(text, separator, order_by) -%}
    array_to_string({{ list_in_order(text, order_by) }}, '{{ separator }}')
{%- endmacro %}
{% macro spark__join_texts(text, separator, order_by) -%}
    nullif(
        array_join(
            transform(
                array_sort(
                    collect_list(
                        case
                            when {{ text }} is not null
                                then struct({{ order_by }} as position, {{ text }} as joined_text)
                        end
                    )
                ),
                element -> element.joined_text
            ),
            '{{ separator }}'
        ),
        ''
    )
{%- endmacro %}
