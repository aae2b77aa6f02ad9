{#-
    DuckDB builds in a candidate's file that nobody reads yet and that is thrown away whole when
    anything fails. So what dbt-duckdb does for tables with readers (build beside, rename the old
    one away, rename the new one in, drop the old one; a temporary table before an insert) buys
    nothing here, and its catalogue queries and statements are half of a small model's time. These
    replace or append in place, in one transaction; the contract is checked as the adapter checks
    it, of a table when the code is new. They know what this project uses: no grants, indexes,
    persisted docs or strategies other than append; a Python model is a table without a contract
    (dbt cannot check one before the model has run). Spark keeps its adapter's own.
-#}
{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set target_relation = this.incorporate(type='table') %}
    {{ run_hooks(pre_hooks) }}
    {% if model['language'] == 'python' %}
        {% call statement('main', language='python') %}
            {{- replace_table_by_python(target_relation, compiled_code) }}
        {% endcall %}
    {% else %}
        {% call statement('main') %}{{ replace_table(target_relation, sql) }}{% endcall %}
    {% endif %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% materialization incremental, adapter='duckdb' %}
    {%- set target_relation = this.incorporate(type='table') %}
    {{ run_hooks(pre_hooks) }}
    {% call statement('main') %}
        {%- if is_incremental() %}
            {%- if config.get('contract').enforced %}
                {{- get_assert_columns_equivalent(sql) }}
            {%- endif %}
            insert into {{ target_relation }} by name ({{ sql }})
        {%- else %}
            {{- replace_table(target_relation, sql) }}
        {%- endif %}
    {% endcall %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {%- set target_relation = this.incorporate(type='view') %}
    {{ run_hooks(pre_hooks) }}
    {% call statement('main') %}create or replace view {{ target_relation }} as ({{ sql }}){% endcall %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- The table with the query's rows, whether it was there before or not. -#}
{% macro replace_table(relation, sql) -%}
    {%- if config.get('contract').enforced %}
        {#- to describe a query is to plan it once more #}
        {%- if not goes_on_from_same_code() %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
        create or replace table {{ relation }} {{ get_table_columns_and_constraints() }};
        insert into {{ relation }} by name ({{ sql }})
    {%- else %}
        create or replace table {{ relation }} as ({{ sql }})
    {%- endif %}
{%- endmacro %}

{#- The same of what a Python model returns; dbt-duckdb calls materialize with it. -#}
{% macro replace_table_by_python(relation, compiled_code) -%}
{{ compiled_code }}


def materialize(rows, connection):
    connection.register('__rows_of_model', rows)
    connection.execute('create or replace table {{ relation }} as select * from __rows_of_model')
    connection.unregister('__rows_of_model')
{%- endmacro %}
