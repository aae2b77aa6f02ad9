{#-
    What two records of one customer have in common, however they were typed. Both macros give text
    in lower case and half width without spaces and punctuation; a name loses its legal form too.
-#}

{#- Lower case, full-width letters and digits as their ASCII ones. Few texts have any, and
    translating costs ten times as much as looking. -#}
{% macro narrow_letters(text) -%}
    {%- set lowered = 'lower(' ~ text ~ ')' -%}
    case
        when {{ has_pattern(lowered, '[ａ-ｚ０-９]') }}
            then translate(
                {{ lowered }},
                'ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ０１２３４５６７８９',
                'abcdefghijklmnopqrstuvwxyz0123456789'
            )
        else {{ lowered }}
    end
{%- endmacro %}

{#- A registration number: letters and digits only. -#}
{% macro normalised_legal_id(legal_id) -%}
    {{ replace_pattern(narrow_letters(legal_id), '[^\\p{L}\\p{N}]', '') }}
{%- endmacro %}

{#- Predicate on a normalised registration number: long enough to be one, and not 00000000. -#}
{% macro is_telling_legal_id(value) -%}
    length({{ value }}) >= 8 and replace({{ value }}, substr({{ value }}, 1, 1), '') <> ''
{%- endmacro %}

{#- The legal forms at the end of a Latin name are words; "Visa" does not end in an S.A. -#}
{% macro normalised_name(name) -%}
    {%- set latin_forms = [
        'ab', 'ag', 'as', 'bhd', 'bv', 'co', 'coltd', 'company', 'corp', 'corporation', 'gmbh',
        'inc', 'incorporated', 'kg', 'limited', 'llc', 'llp', 'ltd', 'ltda', 'nv', 'oy', 'plc',
        'pte', 'pty', 'pvt', 'sa', 'sarl', 'sas', 'sdn', 'spa', 'srl',
    ] -%}
    {%- set chinese_forms = [
        '股份有限公司', '有限责任公司', '有限責任公司', '有限公司', '公司'
    ] -%}
    {#- S.A. is one word -#}
    {%- set undotted = replace_pattern(narrow_letters(name), '[.．]', '') -%}
    {%- set words = replace_pattern("concat(' ', " ~ undotted ~ ")", '[^\\p{L}\\p{N}]+', ' ') -%}
    {%- set without_latin = replace_pattern(
        words, '( (' ~ latin_forms | join('|') ~ '))+ ?$', ''
    ) -%}
    {%- set joined = replace_pattern(without_latin, ' ', '') -%}
    {{ replace_pattern(joined, '(' ~ chinese_forms | join('|') ~ ')$', '') }}
{%- endmacro %}

{#- More customers than this under one name share a placeholder (散客, walk-in), not an identity. -#}
{% macro most_customers_alike() -%}
    20
{%- endmacro %}
