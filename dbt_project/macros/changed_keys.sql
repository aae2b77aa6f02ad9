{#-
    Incremental facts go by changed keys: the pre-hook deletes the changed keys from the table, the
    model appends those keys' rows of today. A deleted order leaves nothing to append and is gone.
    The alternative, delete+insert on unique_key, keeps rows that no longer come from the query.
-#}

{#- True when the run context asks for a rebuild, or when `when` (a predicate on it) holds. The
    database is asked only where the build does not state the answer. -#}
{% macro run_asks_for_rebuild(when='false') -%}
    {%- if not execute -%}{{ return(false) }}{%- endif -%}
    {%- set stated = stated_run_context() -%}
    {%- if stated and not when.split() | reject('in', ['false', 'or']) | list -%}
        {{ return(stated['is_rebuild'] == 'true') }}
    {%- endif -%}
    {%- set query -%}
        select is_rebuild or ({{ when }}) from {{ ref('stg_landing__run_context') }}
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{%- endmacro %}

{#- True in a build of every table from scratch, whatever the run context says. -#}
{% macro full_refresh_is_asked() -%}
    {%- if execute and should_full_refresh() -%}true{%- else -%}false{%- endif -%}
{%- endmacro %}

{#- Where-clause of an incremental model: only the changed keys, or every row on a rebuild. -#}
{% macro where_changed(key, changed_keys, rebuild_when='false') -%}
    {%- if is_incremental() and not run_asks_for_rebuild(rebuild_when) -%}
        {{ key }} in ({{ changed_keys }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- Pre-hook of an incremental model: removes the changed keys, or every row on a rebuild. -#}
{% macro delete_changed(key, changed_keys, rebuild_when='false') -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ where_changed(key, changed_keys, rebuild_when) }}
    {%- endif -%}
{%- endmacro %}

{#- Pre-hook of a step that holds what this run computes again, and nothing else. -#}
{% macro empty_table() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
    {%- endif -%}
{%- endmacro %}

{% macro changed_orders() -%}
    select order_id from {{ ref('int_orders_changed') }}
{%- endmacro %}

{% macro changed_invoices() -%}
    select invoice_id from {{ ref('int_invoices_changed') }}
{%- endmacro %}

{% macro changed_customers() -%}
    select customer_id from {{ ref('int_customers_changed') }}
{%- endmacro %}

{#- Without those of whom only the days went by: a claim turned overdue, a month began. What holds
    nothing but documents and what covers them is the same for them. -#}
{% macro customers_with_movements() -%}
    select customer_id from {{ ref('int_customers_changed') }} where has_movements
{%- endmacro %}

{#- Keys of a feed whose rows changed and that need no other feed to be computed. -#}
{% macro changed_rows(feed) -%}
    select row_key from {{ ref('int_rows_changed') }} where feed = '{{ feed }}'
{%- endmacro %}

{#- A delivery takes its customer, currency and rate from its order. -#}
{% macro changed_deliveries() -%}
    {{ changed_rows('deliveries') }}
    union
    select delivery_id
    from {{ ref('stg_landing__deliveries') }}
    where order_id in ({{ changed_orders() }})
{%- endmacro %}

{#- The months of every customer gain a row when the as-of date enters another month. -#}
{% macro as_of_month_moved() -%}
    {{ month_start('parent_as_of') }} <> {{ month_start('as_of') }}
{%- endmacro %}

{#- A dated parameter seed has other rows in force on the two as-of dates. -#}
{% macro parameters_moved(seed) -%}
    {%- set stated = stated_run_context() -%}
    {%- if stated -%}
        {{ return('true' if seed in stated['parameters_moved'].split() else 'false') }}
    {%- endif -%}
    exists (
        select seeds.valid_from
        from {{ ref(seed) }} as seeds
        where
            (
                seeds.valid_from > least(parent_as_of, as_of)
                and seeds.valid_from <= greatest(parent_as_of, as_of)
            )
            or (
                seeds.valid_to > least(parent_as_of, as_of)
                and seeds.valid_to <= greatest(parent_as_of, as_of)
            )
    )
{%- endmacro %}

{#- The changed customers, with their first_month_on as the alias `changed`, whatever the date. -#}
{% macro join_changed_customers(relation, is_partial) -%}
    {%- if is_partial -%}
        inner join {{ ref('int_customers_changed') }} as changed
            on {{ relation }}.customer_id = changed.customer_id
    {%- endif -%}
{%- endmacro %}

{#- Predicate: a date lies after one of the two as-of dates and not after the other, whichever is the
    later. -#}
{% macro is_in_days_gone_by(on_date) -%}
    {{ on_date }} > {{ earlier_as_of_date() }} and {{ on_date }} <= {{ later_as_of_date() }}
{%- endmacro %}

{#-
    Customer months go by changed customers, each from the first month that can read otherwise: a
    row changes nothing before its own date. The pair does for them what delete_changed and
    where_changed do for keys. `relation` is the alias of the table with the customer_id, `on_date`
    a date in the month; a model that goes on from the months before is told by `is_partial`. Joins
    both, as DuckDB takes nine times as long over an `exists` with two conditions.
-#}
{% macro join_changed_months(relation, on_date, is_partial) -%}
    {%- if is_partial -%}
        inner join {{ ref('int_customers_changed') }} as changed
            on
                {{ relation }}.customer_id = changed.customer_id
                and {{ on_date }} >= changed.first_month_on
    {%- endif -%}
{%- endmacro %}

{#-
    The rows of `relation` (with a customer_id) that a run computes again where months stand: dated
    `first_month` or later, and of a changed customer from the first month that changed. Two queries:
    by one with an `or` DuckDB would join every row before it looks at the date.
-#}
{% macro rows_of_months_again(relation, on_date, first_month, is_partial) -%}
    {%- if is_partial -%}
        select * from {{ relation }}
        where {{ on_date }} >= {{ first_month }}
        union all
        select months_again.*
        from {{ relation }} as months_again
        inner join {{ ref('int_customers_changed') }} as changed
            on
                months_again.customer_id = changed.customer_id
                and {{ on_date }} >= changed.first_month_on
        where {{ on_date }} < {{ first_month }} and changed.first_month_on < {{ first_month }}
    {%- else -%}
        select * from {{ relation }}
    {%- endif -%}
{%- endmacro %}

{% macro delete_changed_months_of_customers(rebuild_when='false') -%}
    {%- if is_incremental() -%}
        {% if run_asks_for_rebuild(rebuild_when) -%}
            delete from {{ this }}
        {%- else -%}
            merge into {{ this }} as months
            using {{ ref('int_customers_changed') }} as changed
                on
                    months.customer_id = changed.customer_id
                    and months.month_on >= changed.first_month_on
            when matched then delete
        {%- endif %}
    {%- endif -%}
{%- endmacro %}

{#- When every month of every customer is computed again. -#}
{% macro months_need_rebuild() -%}
    {{ parameters_moved('survey_measures') }}
    or {{ parameters_moved('contract_rules') }}
{%- endmacro %}

{#-
    A table as copied from the parent release, before this run touches it; none on a first release.
    So it must not be a ref(): the table's model in turn waits for the model that calls this (see
    `-- depends_on` there).
-#}
{% macro table_of_parent(name) -%}
    {%- if execute -%}
        {%- set node = graph.nodes['model.customer_marts.' ~ name] -%}
        {{ return(adapter.get_relation(node.database, node.schema, name)) }}
    {%- endif -%}
{%- endmacro %}

{#- The same of a table that not every area builds: none where this run does not, as then it may be
    older than the parent release. -#}
{% macro kept_table_of_parent(name) -%}
    {%- if 'model.customer_marts.' ~ name in selected_resources -%}
        {{ return(table_of_parent(name)) }}
    {%- endif -%}
{%- endmacro %}

{#- The customers that the given keys belonged to in the parent release, and since when. -#}
{% macro previous_customers(fact, key, changed_keys, since) -%}
    {%- set relation = table_of_parent(fact) -%}
    {%- if relation -%}
        select customer_id, {{ since }} as changed_on
        from {{ relation }}
        where {{ key }} in ({{ changed_keys }})
    {%- else -%}
        {{ no_changed_customer() }}
    {%- endif -%}
{%- endmacro %}

{% macro no_changed_customer() -%}
    select cast(null as {{ dbt.type_string() }}) as customer_id, cast(null as date) as changed_on
    where false
{%- endmacro %}

{#- Before the first day of any book: everything that is known of a customer may have changed. -#}
{% macro beginning_of_time() -%}
    cast('0001-01-01' as date)
{%- endmacro %}

{#-
    What ranks customers against each other goes by changed months: one customer's change in a month
    moves the others of that month and of all after it. The pair does for months what
    delete_changed and where_changed do for keys.
-#}
{% macro where_month_changed() -%}
    {%- if is_incremental() and not run_asks_for_rebuild() -%}
        month_on >= (select first_month_on from {{ ref('int_months_changed') }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro delete_changed_months() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ where_month_changed() }}
    {%- endif -%}
{%- endmacro %}

{#- The first order of the book begins everybody's states: they are built anew when it moves. -#}
{% macro customer_states_rebuilt_when() -%}
    (
        select min({{ month_start('ordered_on') }}) from {{ ref('fct_orders') }}
        where not is_cancelled
    ) is distinct from (
        select min({{ month_start('first_ordered_on') }}) from {{ this }}
    )
{%- endmacro %}

{#- Asked after they were built: where the book's first order moved, its month, or the one that it
    left, is the first that changed. Of a change in the first month itself this holds as well. -#}
{% macro customer_states_may_be_rebuilt_when() -%}
    coalesce(
        (select first_month_on from {{ ref('int_months_changed') }})
        <= (
            select min({{ month_start('ordered_on') }}) from {{ ref('fct_orders') }}
            where not is_cancelled
        ),
        true
    )
{%- endmacro %}

{#-
    The customers of the parent release's rows whose date the as-of date went past, either way:
    what was due on that date is overdue on one of the two days only. A row that is not in the
    parent's fact, or has another date there, changed by itself.
-#}
{% macro customers_gone_past(fact, date_column, condition='true') -%}
    {%- set relation = table_of_parent(fact) -%}
    {%- if relation -%}
        select
            facts.customer_id,
            least(run_context.parent_as_of, run_context.as_of) as changed_on
        from {{ relation }} as facts
        cross join {{ ref('stg_landing__run_context') }} as run_context
        where
            facts.{{ date_column }} >= least(run_context.parent_as_of, run_context.as_of)
            and facts.{{ date_column }} < greatest(run_context.parent_as_of, run_context.as_of)
            and {{ condition }}
    {%- else -%}
        {{ no_changed_customer() }}
    {%- endif -%}
{%- endmacro %}

{#- Every customer of the parent release, when the as-of date enters another month: the months in
    between come or go for all of them. -#}
{% macro customers_of_another_month() -%}
    {%- set relation = table_of_parent('dim_customers') -%}
    {%- if relation -%}
        select
            customers.customer_id,
            least(run_context.parent_as_of, run_context.as_of) as changed_on
        from {{ relation }} as customers
        cross join {{ ref('stg_landing__run_context') }} as run_context
        where {{ as_of_month_moved() }}
    {%- else -%}
        {{ no_changed_customer() }}
    {%- endif -%}
{%- endmacro %}

{#- Pre-hook of a mart with the end of each month: the current month ends on the as-of date. -#}
{% macro end_current_month() -%}
    {%- if is_incremental() -%}
        update {{ this }} set month_end_on = {{ as_of_date() }}
        where month_on = {{ month_start(as_of_date()) }}
    {%- endif -%}
{%- endmacro %}
