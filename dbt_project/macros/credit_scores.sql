{#- The variables a scorecard may use: numbers, and levels. One list for the panel, the fit and the
    scoring; each has its sentence in credit_reason_texts. The region is none: where a customer sits
    is not what it does, and a region's few customers, seen month after month, pass for many. -#}
{% macro credit_numbers() -%}
    {{ return([
        'overdue_rate', 'overdue_over_30_rate', 'worst_overdue_days', 'worst_overdue_days_12_months',
        'delay_days_3_months', 'delay_days_12_months', 'delay_trend_days',
        'late_invoice_rate_12_months', 'months_overdue_12_months', 'bill_paid_rate_12_months',
        'dishonoured_bills_12_months', 'prepaid_rate_12_months', 'utilisation_rate',
        'order_trend_rate', 'months_since_order', 'months_since_payment',
        'collection_rate_12_months', 'balance_months', 'tenure_months', 'complaints_12_months',
        'defaults_before',
    ]) }}
{%- endmacro %}

{% macro credit_levels() -%}
    {{ return(['customer_type', 'industry', 'size_class']) }}
{%- endmacro %}

{#- When every month of the panel is computed again: what makes a default and how many days of grace
    an invoice has are those of the as-of date for all months. -#}
{% macro credit_panel_rebuilt_when() -%}
    {{ parameters_moved('credit_default_rules') }}
    or {{ parameters_moved('credit_scorecard_parameters') }}
{%- endmacro %}

{#- When every month is scored again: by another card than before. -#}
{% macro credit_scores_rebuilt_when() -%}
    {{ credit_panel_rebuilt_when() }}
    or (
        select max(version) from {{ ref('int_credit_model_runs') }} where is_in_force
    ) is distinct from (
        select max(model_version) from {{ this }}
    )
{%- endmacro %}

{#- True where this run computes only the months of the panel that can read otherwise. -#}
{% macro credit_panel_goes_on() -%}
    {{ return(is_incremental() and not run_asks_for_rebuild(credit_panel_rebuilt_when())) }}
{%- endmacro %}

{#- The first month of a customer to compute: of all the month that runs, for its end moved, of a
    changed one the first that changed. `changed` is the alias of int_customers_changed. -#}
{% macro first_credit_month(changed) -%}
    least({{ first_running_month() }}, {{ changed }}.first_month_on)
{%- endmacro %}

{#- What int_credit_flow_months keeps of a month by source: amounts, days, counts. -#}
{% macro credit_flows_kept() -%}
    {{ return({
        'due_months': ['count_invoices_due'],
        'late_invoice_months': ['count_invoices_late'],
        'payment_months': [
            'paid_amount', 'bill_paid_amount', 'prepaid_amount', 'delay_amount_days',
            'last_paid_day',
        ],
        'late_months': [
            'overdue_amount', 'overdue_over_30_amount', 'overdue_over_60_amount',
            'worst_overdue_days', 'worst_days_in_month', 'count_months_overdue',
        ],
    }) }}
{%- endmacro %}

{#- A month as a whole number that rises by one from month to month. -#}
{% macro month_number(month_on) -%}
    12 * extract(year from {{ month_on }}) + extract(month from {{ month_on }})
{%- endmacro %}

{#- Predicate on allocations joined to their claims: cash or a bill that paid an invoice. -#}
{% macro is_paid_invoice() -%}
    claims.document_kind = 'invoice'
    and allocations.credit_kind in ('receipt', 'prepayment')
    and allocations.basis <> 'reversal'
{%- endmacro %}

{#-
    CTEs that give each row of the CTE `months` its points on the scorecard in force, as
    `valued_points` (customer_id, month_on, variable_no, variable, number_value, level_value, points,
    points_lost, woe): one row per variable of the card, none without a card. A row is looked up by itself,
    so that a customer alone scores what it scores among all. They read the CTE `card_points`.
-#}
{% macro valued_points_ctes() -%}
    number_values as (
        {%- for name in credit_numbers() %}
            select
                customer_id,
                month_on,
                '{{ name }}' as variable,
                {{ name }} as number_value
            from months
            where exists (select points from card_points where variable = '{{ name }}')
            {{ 'union all' if not loop.last }}
        {%- endfor %}
    ),

    level_values as (
        {%- for name in credit_levels() %}
            select
                customer_id,
                month_on,
                '{{ name }}' as variable,
                {{ name }} as level_value
            from months
            where exists (select points from card_points where variable = '{{ name }}')
            {{ 'union all' if not loop.last }}
        {%- endfor %}
    ),

    levels_known as (
        select
            level_values.*,
            card_points.variable is not null as is_listed
        from level_values
        left join card_points
            on
                card_points.kind = 'category'
                and level_values.variable = card_points.variable
                and level_values.level_value = card_points.level
    ),

    valued_points as (
        select
            number_values.customer_id,
            number_values.month_on,
            card_points.variable_no,
            number_values.variable,
            number_values.number_value,
            cast(null as {{ dbt.type_string() }}) as level_value,
            card_points.points,
            card_points.best_points - card_points.points as points_lost,
            card_points.woe
        from number_values
        inner join card_points
            on
                number_values.variable = card_points.variable
                and (
                    (card_points.kind = 'missing' and number_values.number_value is null)
                    or (
                        card_points.kind = 'numeric'
                        and coalesce(number_values.number_value >= card_points.lower_value,
                            card_points.lower_value is null)
                        and coalesce(number_values.number_value < card_points.upper_value,
                            card_points.upper_value is null)
                        and number_values.number_value is not null
                    )
                )
        union all
        select
            levels_known.customer_id,
            levels_known.month_on,
            card_points.variable_no,
            levels_known.variable,
            cast(null as double) as number_value,
            levels_known.level_value,
            card_points.points,
            card_points.best_points - card_points.points as points_lost,
            card_points.woe
        from levels_known
        inner join card_points
            on
                levels_known.variable = card_points.variable
                and case
                    when levels_known.level_value is null then card_points.kind = 'missing'
                    when levels_known.is_listed then levels_known.level_value = card_points.level
                    else card_points.kind = 'other'
                end
    )
{%- endmacro %}
