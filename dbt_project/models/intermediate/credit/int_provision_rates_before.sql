{% set relation = table_of_parent('int_provision_rates') -%}

{% if relation -%}
    select
        month_on,
        provision_group,
        bucket_code,
        applied_rate
    from {{ relation }}
{%- else -%}
    select
        cast(null as date) as month_on,
        cast(null as {{ dbt.type_string() }}) as provision_group,
        cast(null as {{ dbt.type_string() }}) as bucket_code,
        cast(null as double) as applied_rate
    where false
{%- endif %}
