{#- Predicate: the company has no such feed, neither configured nor landed. Its columns are null. -#}
{% macro feed_is_absent(feed) -%}
    not exists (
        select feed
        from {{ ref('stg_landing__feeds') }}
        where feed = '{{ feed }}' and (is_configured or count_rows > 0)
    )
{%- endmacro %}
