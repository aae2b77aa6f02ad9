{#-
    Everything that must hold of one mart, as one data test: dbt's own work for a test (rendering,
    events, a connection) is many times the query's. `rules` is a list of one-key mappings, the
    kind of rule to its arguments:

        rules:
          - unique_combination:
              columns: [order_id]
          - holds:
              name: paid_is_not_more_than_owed
              expression: paid_amount <= owed_amount

    `name` is the kind's own where it is left out, and unique within the mart. The test returns one
    row per broken rule with the number of rows that break it. Rules on a row (breaks_*) share one
    scan of the mart, or of what is appended to it; the others (rows_breaking_*) are queries of their
    own. For `changed`, which every kind of rule but known_as_of may have, see where_appended.
-#}
{% test is_sound(model, rules) %}
    {%- set names = [] %}
    {#- by what is scanned #}
    {%- set row_rules = {} %}
    {%- set queries = [] %}
    {%- for rule in rules %}
        {%- for kind, arguments in rule.items() %}
            {%- set given = dict(arguments) %}
            {%- set name = given.pop('name', kind) %}
            {%- if name in names %}
                {%- do exceptions.raise_compiler_error(model ~ ' has two rules named ' ~ name) %}
            {%- endif %}
            {%- do names.append(name) %}
            {#- by name, not by lookup: dbt reads from the text which macros a test may call #}
            {%- if kind == 'unique_combination' %}
                {%- do queries.append((name, rows_breaking_unique_combination(model, **given))) %}
            {%- elif kind == 'relationships' %}
                {%- do queries.append((name, rows_breaking_relationships(model, **given))) %}
            {%- elif kind == 'sums_to' %}
                {%- do queries.append((name, rows_breaking_sums_to(model, **given))) %}
            {%- elif kind == 'agrees_with' %}
                {%- do queries.append((name, rows_breaking_agrees_with(model, **given))) %}
            {%- else %}
                {%- set changed = given.pop('changed', none) if kind != 'known_as_of' else none %}
                {%- if kind == 'holds' %}
                    {%- set predicate = breaks_holds(**given) %}
                {%- elif kind == 'not_negative' %}
                    {%- set predicate = breaks_not_negative(**given) %}
                {%- elif kind == 'known_as_of' %}
                    {%- set predicate = breaks_known_as_of(**given) %}
                {%- else %}
                    {%- do exceptions.raise_compiler_error('no such kind of rule: ' ~ kind) %}
                {%- endif %}
                {%- do row_rules.setdefault(changed, []).append((name, predicate)) %}
            {%- endif %}
        {%- endfor %}
    {%- endfor %}
    with
    {%- for changed, rules_of_scan in row_rules.items() %}
    checked_{{ loop.index }} as (
        select
            {%- for name, predicate in rules_of_scan %}
            ({{ predicate }}) as breaks_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}
        where {{ where_appended(changed) }}
    ),

    counted_{{ loop.index }} as (
        select
            {%- for name, predicate in rules_of_scan %}
            count(*) filter (where breaks_{{ loop.index }}) as count_{{ loop.index }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from checked_{{ loop.index }}
    ),
    {% endfor %}
    rules as (
        {%- for rules_of_scan in row_rules.values() %}
        {%- set scan = loop %}
        {%- for name, predicate in rules_of_scan %}
        select '{{ name }}' as rule, count_{{ loop.index }} as count_rows
        from counted_{{ scan.index }}
        {{ 'union all' if queries or not (loop.last and scan.last) }}
        {%- endfor %}
        {%- endfor %}
        {%- for name, query in queries %}
        select '{{ name }}' as rule, count(*) as count_rows
        from ({{ query }}) as broken_rows
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    )

    select rule, count_rows
    from rules
    where count_rows > 0
{% endtest %}

{#- No column of the list is below zero. -#}
{% macro breaks_not_negative(columns) -%}
    {% for column in columns %}{{ 'or ' if not loop.first }}{{ column }} < 0 {% endfor %}
{%- endmacro %}

{#- The expression holds on every row; null counts as a failure. -#}
{% macro breaks_holds(expression) -%}
    not coalesce({{ expression }}, false)
{%- endmacro %}

{#- Nothing lies after the as-of date, and amounts are in the reporting currency. -#}
{% macro breaks_known_as_of(column, has_currency=true) -%}
    {{ column }} > {{ as_of_date() }}
    {%- if has_currency %} or currency <> {{ reporting_currency() }}{% endif %}
{%- endmacro %}

{#-
    The grain: the columns never repeat together, and none is null unless listed as nullable.
    `changed` (see where_appended) narrows the check to what an increment appended.
-#}
{% macro rows_breaking_unique_combination(model, columns, nullable=[], changed=none) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    where {{ where_appended(changed) }}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in columns if column not in nullable %} or {{ column }} is null {%- endfor %}
{% endmacro %}

{#-
    Predicate of a rule about a key's own rows: on an increment only those that it may have deleted
    or appended, on a first release and on a rebuild every row. `changed` is what the fact goes by.

    Nothing slips through, by induction over the releases of one chain. The first release is a
    rebuild, and was checked whole. An increment starts from its parent's tables, whose rows were
    sound; its pre-hook deletes rows of the changed keys alone, and only_changed lets no row of
    another key, nor of none, be appended. So the rows of every other key are the parent's, and no
    row of theirs was added: a row that breaks what holds of each, a repeated key or a sum by key
    that is off can only be among the changed keys. A rule that compares two facts by key may use it
    where both go by that key, and one that looks keys up where whatever takes a key away changes
    those that name it. The ledger goes by the claims and the credits that it reads again: it deletes
    and appends rows from a customer's day on, all of them rows of these. What is taken away is dated
    from that day on, and so is every row that names it, as none is dated before its claim or its
    credit (allocations_stay_within_claims_and_credits). What compares with landing, or in total, or
    hangs on the as-of date, or on a column that a hook updates, stays whole.
-#}
{% macro where_appended(changed) -%}
    {%- if changed is none -%}
        true
    {%- else -%}
        {#- named whatever is built: dbt must learn of every ref as it parses -#}
        {%- set run_context = ref('stg_landing__run_context') -%}
        {%- set predicate = is_of_changed(changed) -%}
        {%- set is_whole = 'false' -%}
        {%- if changed == 'customers' -%}
            {%- set is_whole = months_need_rebuild() -%}
        {%- elif changed == 'states' -%}
            {%- set is_whole = customer_states_may_be_rebuilt_when() -%}
        {%- elif changed == 'panel' -%}
            {%- set is_whole = credit_panel_rebuilt_when() -%}
        {%- elif changed in ['transitions', 'provisions'] -%}
            {%- set is_whole = provisions_rebuilt_when() -%}
        {%- endif -%}
        {{ 'true' if flags.FULL_REFRESH or run_asks_for_rebuild(is_whole) else predicate }}
    {%- endif -%}
{%- endmacro %}

{#- Predicate of the rows of a changed key, by the kind of key. -#}
{% macro is_of_changed(changed) -%}
    {%- if changed == 'orders' -%}
        order_id in ({{ changed_orders() }})
    {%- elif changed == 'invoices' -%}
        invoice_id in ({{ changed_invoices() }})
    {%- elif changed == 'payments' -%}
        payment_id in ({{ changed_rows('payments') }})
    {%- elif changed == 'claims' -%}
        document_id in ({{ documents_run_again('document_id') }})
    {%- elif changed == 'credits' -%}
        credit_id in ({{ documents_run_again('credit_id') }})
    {%- elif changed in ['customers', 'states'] -%}
        customer_id in ({{ changed_customers() }})
    {%- elif changed in ['panel', 'transitions'] -%}
        (month_on >= {{ first_running_month() }} or customer_id in ({{ changed_customers() }}))
    {%- elif changed == 'provisions' -%}
        (month_on >= {{ first_provision_month() }} or customer_id in ({{ changed_customers() }}))
    {%- elif changed == 'months' -%}
        month_on >= (select first_month_on from {{ ref('int_months_changed') }})
    {%- else -%}
        {%- do exceptions.raise_compiler_error('no fact goes by changed ' ~ changed) -%}
    {%- endif -%}
{%- endmacro %}

{#- Last line of a fact whose rules use where_appended: an increment that would append a row of a
    key that it did not delete breaks. `rebuild_when` is the model's own. -#}
{% macro only_changed(changed, rebuild_when='false') -%}
    {%- if is_incremental() and not run_asks_for_rebuild(rebuild_when) -%}
        case
        when {{ is_of_changed(changed) }} then true
        else {{ break_with(this.name ~ ' would append a row that goes by no changed ' ~ changed) }}
    end
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- Every value of the column, where there is one, is a value of the other model's field. Looked up
    once per value; the rows are only counted where a value is missing. `except` takes half of what
    `not exists` does, but keeps all that the other model has: of few values only those. For `changed`
    see where_appended. -#}
{% macro rows_breaking_relationships(model, column, to, field, changed=none) %}
    {%- set is_appended = where_appended(changed) | trim %}
    {%- set named_values %}
        select {{ column }}
        from {{ model }}
        where {{ column }} is not null and {{ is_appended }}
    {%- endset %}
    select here.{{ column }}
    from {{ model }} as here
    inner join (
        {{- named_values }}
        except
        select {{ field }}
        from {{ to }}
        {%- if is_appended != 'true' %}
        where {{ field }} in ({{ named_values }})
        {%- endif %}
    ) as missing_values on here.{{ column }} = missing_values.{{ column }}
{% endmacro %}

{#-
    An aggregate of this model equals an aggregate of another, exactly, in total or by key.
    `where` and `to_where` narrow the two sides; `to_as_of` names a date column of the other side
    that must not lie after the as-of date; `changed` (see where_appended) is for a sum by key of
    two facts that both go by it.
-#}
{% macro rows_breaking_sums_to(
    model, expression, to, to_expression=none, group_by=[], where='true', to_where='true',
    to_as_of=none, changed=none
) %}
    {%- set keys = group_by | join(', ') %}
    select here.total as total_here, there.total as total_there
    from (
        select {{ keys ~ ', ' if keys }}coalesce({{ expression }}, 0) as total
        from {{ model }}
        where {{ where }} and {{ where_appended(changed) }}
        {{ 'group by ' ~ keys if keys }}
    ) as here
    full outer join (
        select {{ keys ~ ', ' if keys }}coalesce({{ to_expression or expression }}, 0) as total
        from {{ to }}
        where
            {{ to_where }} and {{ where_appended(changed) }}
            {%- if to_as_of %} and {{ to_as_of }} <= {{ as_of_date() }}{% endif %}
        {{ 'group by ' ~ keys if keys }}
    ) as there
        on
            true
            {%- for key in group_by %}
            and here.{{ key }} = there.{{ key }}
            {%- endfor %}
    -- a key that only one side knows must carry nothing
    where coalesce(here.total, 0) <> coalesce(there.total, 0)
{% endmacro %}

{#-
    The amounts of a row are those of the other model's row with the same keys. Both models have one
    row per key, by a rule of each, so nothing is added up: sums_to by key would group every row of
    both, and once more for each amount. For `changed` see where_appended.
-#}
{% macro rows_breaking_agrees_with(model, to, keys, amounts, changed=none) %}
    select
        {%- for key in keys %}
        coalesce(here.{{ key }}, there.{{ key }}) as {{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select {{ (keys + amounts) | join(', ') }}
        from {{ model }}
        where {{ where_appended(changed) }}
    ) as here
    full outer join (
        select {{ (keys + amounts) | join(', ') }}
        from {{ to }}
        where {{ where_appended(changed) }}
    ) as there
        on
            true
            {%- for key in keys %}
            and here.{{ key }} = there.{{ key }}
            {%- endfor %}
    -- a key that only one side knows must carry nothing
    where
        false
        {%- for amount in amounts %}
        or coalesce(here.{{ amount }}, 0) <> coalesce(there.{{ amount }}, 0)
        {%- endfor %}
{% endmacro %}

{#- Whether two CTEs of `queries` differ in their numbers of rows or in their keys, whatever the
    order; true while dbt parses. -#}
{% macro keys_differ(queries, one, other, keys) -%}
    {%- if not execute -%}{{ return(true) }}{%- endif -%}
    {%- set query -%}
        {{ queries }},

        sums as (
            {%- for rows in [one, other] %}
            select count(*) as count_rows, {{ sum_of_hashes(keys) }} as sum_of_keys from {{ rows }}
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        )

        select count(distinct count_rows) > 1 or count(distinct sum_of_keys) > 1 from sums
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{%- endmacro %}
