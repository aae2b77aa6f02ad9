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
    {{ relation }}.onboarded_on
{%- endmacro %}

{#- Of several records that count as one customer, which stands for it: the one under its own id,
    or else the latest. An `order by`. -#}
{% macro order_of_records(records) -%}
    case when {{ records }}.source_customer_id = {{ records }}.customer_id then 0 else 1 end asc,
        {{ records }}.updated_at desc nulls last,
        {{ records }}.source_customer_id asc
{%- endmacro %}

{#- A customer's parent, its parent and so on are followed so many steps: a circle must end, and no
    known group of companies is deeper. -#}
{% macro hierarchy_steps() -%}
    10
{%- endmacro %}
