{#- The attributes of a landed customer under the marts' names. -#}
{% macro landed_customer_attributes(relation) -%}
    {{ relation }}.name as customer_name,
    {{ relation }}.legal_id,
    {{ relation }}.group_id,
    {{ relation }}.parent_id,
    {{ relation }}.industry,
    {{ relation }}.size_class,
    {{ relation }}.region,
    {{ relation }}.customer_type,
    {{ relation }}.account_manager,
    cast({{ relation }}.payment_terms_days as integer) as payment_terms_days,
    cast({{ relation }}.credit_limit as decimal(18, 2)) as credit_limit_amount,
    cast({{ relation }}.net_worth as decimal(18, 2)) as net_worth_amount,
    cast({{ relation }}.working_capital as decimal(18, 2)) as working_capital_amount,
    {{ relation }}.onboarded_on
{%- endmacro %}

{#- Of several records that count as one customer, which stands for it: the one under its own id,
    or else the latest. An `order by`. -#}
{% macro order_of_records(records) -%}
    case when {{ records }}.source_customer_id = {{ records }}.customer_id then 0 else 1 end asc,
        {{ records }}.updated_at desc nulls last,
        {{ records }}.source_customer_id asc
{%- endmacro %}

{#- What the first of a customer's ranked records says that knows the column. -#}
{% macro next_known(column) -%}
    first_value({{ column }}) over (
            partition by customer_id
            order by case when {{ column }} is null then 1 else 0 end asc, record_no asc
        )
{%- endmacro %}

{#- The names of the columns whose value differs from the row before, as one text. -#}
{% macro names_of_changed(columns, partition_by, order_by) -%}
    concat_ws(
        ', '
        {%- for name in columns %},
        case
            when {{ name }} is distinct from lag({{ name }}) over (
                partition by {{ partition_by }} order by {{ order_by }} asc
            )
                then '{{ name }}'
        end
        {%- endfor %}
    )
{%- endmacro %}

{#-
    A customer's parent, its parent and so on are followed ten steps up, to step_10: a circle must
    end, and no known group of companies is deeper. Joins, as Spark 3 has no recursive query.
-#}
{% macro join_ten_parents(parents) -%}
    {%- for step in range(1, 11) -%}
    left join {{ parents }} as step_{{ step }}
        on step_{{ step - 1 }}.parent_customer_id = step_{{ step }}.customer_id
    {% endfor %}
{%- endmacro %}

{% macro highest_of_ten_parents() -%}
    coalesce(
        {%- for step in range(10, -1, -1) -%}
        step_{{ step }}.customer_id{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}

{% macro count_of_ten_parents() -%}
    {%- for step in range(1, 11) -%}
    case when step_{{ step }}.customer_id is null then 0 else 1 end{{ ' + ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
