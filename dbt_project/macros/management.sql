{#- A number that the management marts go by, from the seed in force. -#}
{% macro management_parameter(parameter) -%}
    (
        select value from {{ ref('management_parameters') }}
        where parameter = '{{ parameter }}' and {{ is_in_force() }}
    )
{%- endmacro %}

{#- What 1 of revenue of the book leaves as margin, over the customers whose margin is known. -#}
{% macro margin_rate_of_the_book() -%}
    {{ mean_of(
        'sum(margin_12_months_amount)',
        'sum(revenue_12_months_amount) filter (where margin_12_months_amount is not null)',
    ) }}
{%- endmacro %}

{#- A share of 1 that a text always draws: 0 <= share < 1, spread evenly over the texts. -#}
{% macro share_drawn_by(text) -%}
    {{ adapter.dispatch('share_drawn_by', 'customer_marts')(text) }}
{%- endmacro %}
{% macro default__share_drawn_by(text) -%}
    cast('0x' || substr(md5({{ text }}), 1, 8) as bigint) / 4294967296.0
{%- endmacro %}
{% macro spark__share_drawn_by(text) -%}
    cast(conv(substr(md5({{ text }}), 1, 8), 16, 10) as bigint) / 4294967296.0
{%- endmacro %}

{#- Whom the effect of an action is measured on: nobody who brings most, or is in default, is left
    alone for it. -#}
{% macro is_of_the_measured(abc_class, is_in_default) -%}
    coalesce({{ abc_class }} <> 'A', true) and not coalesce({{ is_in_default }}, false)
{%- endmacro %}

{#- Whether a customer of those is kept from an action, so that its effect can be measured: drawn
    once for customer and action, and for good until hold_out_draw is raised. -#}
{% macro is_held_out(customer_id, action_code) -%}
    {{ share_drawn_by(
        "concat_ws('|', " ~ action_code ~ ", " ~ customer_id ~ ", cast(cast("
        ~ management_parameter('hold_out_draw') ~ " as integer) as " ~ dbt.type_string() ~ "))"
    ) }} < {{ management_parameter('hold_out_share') }}
{%- endmacro %}

{#- When an action whose effect is followed is due to a customer, by the columns of its state:
    lifecycle, value_tier, growth_class, abc_class, grade, overdue_amount, tenure_days; threshold
    is the rule's. Nobody is courted for more on the weakest grades. The same condition serves today's list and the months before. -#}
{% macro is_due_to(action_code) -%}
    {%- set conditions = {
        'retain': "lifecycle in ('slowing', 'at_risk') and value_tier in ('high', 'medium')",
        'win_back': "lifecycle in ('dormant', 'lost') and value_tier in ('high', 'medium')",
        'develop': "lifecycle = 'active' and growth_class = 'growing'
            and coalesce(grade not in ('C', 'D'), true)",
        'collect': "overdue_amount >= threshold",
        'reward': "lifecycle = 'active' and abc_class in ('A', 'B')
            and coalesce(grade not in ('C', 'D'), true)
            and coalesce(overdue_amount, 0) = 0 and tenure_days >= threshold",
    } -%}
    {{ conditions[action_code] }}
{%- endmacro %}
{% macro followed_actions() -%}
    {{ return(['retain', 'win_back', 'develop', 'collect', 'reward']) }}
{%- endmacro %}
