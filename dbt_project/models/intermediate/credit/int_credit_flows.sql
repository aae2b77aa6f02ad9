{{ config(materialized='view') }}

{%- set flows_kept = credit_flows_kept() %}
{%- set sources = dict(
    flows_kept,
    default_months=['count_dishonoured', 'count_defaults'],
    order_months=['count_orders', 'revenue_amount', 'count_complaints'],
    receivable_months=['invoiced_amount', 'open_amount', 'bills_outstanding_amount'],
) %}

-- Each source is read by itself, so that none waits for another: filtered by source, the rest is
-- not computed. The twelve months up to the first that this run computes are enough, but for
-- defaults, of which all those before count.
with panel_customers as (
    select
        *,
        {{ add_months('from_month_on', -11) }} as flows_from_on
    from {{ ref('int_credit_customers') }}
),

flow_months as (
    select * from {{ ref('int_credit_flow_months') }}
),

defaults as (
    select * from {{ ref('int_credit_defaults') }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
),

receivables as (
    select * from {{ ref('fct_receivables') }}
),

{%- for source, columns in flows_kept.items() %}
    {{ source }} as (
        select
            {%- for column in columns %}
                flow_months.{{ column }},
            {%- endfor %}
            panel_customers.customer_no,
            flow_months.month_on
        from flow_months
        inner join panel_customers on flow_months.customer_id = panel_customers.customer_id
        where
            flow_months.flow_source = '{{ source }}'
            and flow_months.month_on >= panel_customers.flows_from_on
    ),
{%- endfor %}

default_months as (
    select
        panel_customers.customer_no,
        {{ month_start('defaults.default_on') }} as month_on,
        count(*) filter (where defaults.rule_code = 'dishonoured_bill') as count_dishonoured,
        count(*) as count_defaults
    from defaults
    inner join panel_customers on defaults.customer_id = panel_customers.customer_id
    group by panel_customers.customer_no, {{ month_start('defaults.default_on') }}
),

-- what was ordered before the first document is none of the panel
order_months as (
    select
        panel_customers.customer_no,
        customer_months.month_on,
        customer_months.count_orders,
        greatest(customer_months.revenue_amount, 0) as revenue_amount,
        customer_months.count_complaints
    from customer_months
    inner join panel_customers on customer_months.customer_id = panel_customers.customer_id
    where
        customer_months.month_on >= panel_customers.first_month_on
        and customer_months.month_on >= panel_customers.flows_from_on
),

receivable_months as (
    select
        panel_customers.customer_no,
        receivables.month_on,
        receivables.invoiced_amount,
        receivables.open_balance_amount as open_amount,
        receivables.bills_outstanding_amount
    from receivables
    inner join panel_customers on receivables.customer_id = panel_customers.customer_id
    where receivables.month_on >= panel_customers.flows_from_on
),

final as (
    {%- for source, columns in sources.items() %}
        select
            '{{ source }}' as flow_source,
            customer_no,
            {%- for column in sources.values() | sum(start=[]) %}
                {{ column if column in columns else 'null' }} as {{ column }},
            {%- endfor %}
            cast({{ month_number('month_on') }} as integer) as month_no
        from {{ source }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
