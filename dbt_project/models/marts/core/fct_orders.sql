{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('order_id', changed_orders()) }}",
) }}
-- depends_on: {{ ref('int_orders_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with orders as (
    select * from {{ ref('stg_landing__orders') }}
    where
        ordered_on <= {{ as_of_date() }}
        and {{ where_changed('order_id', changed_orders()) }}
),

fx_days as (
    select * from {{ ref('stg_landing__fx_days') }}
),

invoices as (
    select
        *,
        {{ derived_order_id('invoice_id') }} as order_id_derived
    from {{ ref('stg_landing__invoices') }}
    where
        kind = 'invoice'
        and document_amount > 0
        and invoiced_on <= {{ as_of_date() }}
        and {{ orders_are_derived() }}
),

order_lines as (
    select * from {{ ref('fct_order_lines') }}
    where {{ where_changed('order_id', changed_orders()) }}
),

line_totals as (
    select
        order_id,
        count(*) as count_lines,
        count(cost_amount) as count_lines_costed,
        sum(weight_tonnes) as weight_tonnes,
        sum(revenue_amount) as revenue_amount,
        sum(discount_amount) as discount_amount,
        sum(tax_amount) as tax_amount,
        sum(cost_amount) as cost_amount,
        sum(ordered_amount) as ordered_amount,
        sum(document_ordered_amount) as document_ordered_amount,
        sum(document_gross_amount) as document_gross_amount
    from order_lines
    group by order_id
),

rated_orders as (
    select
        orders.*,
        {{ rate_into_reporting('orders.currency', 'fx_days.rate') }} as fx_rate,
        coalesce(orders.order_amount, 0) as lineless_amount
    from orders
    left join fx_days
        on orders.currency = fx_days.currency and orders.ordered_on = fx_days.valid_on
),

valued_orders as (
    select
        orders.order_id,
        orders.customer_id,
        orders.source_customer_id,
        orders.ordered_at,
        orders.ordered_on,
        orders.status,
        orders.status = 'cancelled' as is_cancelled,
        orders.sale_type,
        orders.channel,
        orders.contract_id,
        orders.currency as document_currency,
        orders.fx_rate,
        coalesce(line_totals.count_lines, 0) as count_lines,
        line_totals.weight_tonnes,
        -- an order without lines is worth its own amount
        case
            when line_totals.order_id is not null then line_totals.revenue_amount
            when orders.status = 'cancelled' then 0
            else {{ in_reporting_currency('orders.lineless_amount', 'orders.fx_rate') }}
        end as revenue_amount,
        coalesce(line_totals.discount_amount, 0) as discount_amount,
        coalesce(line_totals.tax_amount, 0) as tax_amount,
        -- one line of unknown cost leaves the cost of the order unknown
        case
            when line_totals.count_lines_costed = line_totals.count_lines
                then line_totals.cost_amount
        end as cost_amount,
        case
            when line_totals.order_id is not null then line_totals.ordered_amount
            else {{ in_reporting_currency('orders.lineless_amount', 'orders.fx_rate') }}
        end as ordered_amount,
        case
            when line_totals.order_id is not null then line_totals.document_ordered_amount
            else orders.lineless_amount
        end as document_ordered_amount,
        case
            when line_totals.order_id is not null then line_totals.document_gross_amount
            when orders.status = 'cancelled' then 0
            else orders.lineless_amount
        end as document_gross_amount
    from rated_orders as orders
    left join line_totals on orders.order_id = line_totals.order_id
),

rated_invoices as (
    select
        invoices.*,
        coalesce(invoices.tax_amount, 0) as document_tax_amount,
        {{ rate_into_reporting('invoices.currency', 'fx_days.rate') }} as fx_rate
    from invoices
    left join fx_days
        on invoices.currency = fx_days.currency and invoices.invoiced_on = fx_days.valid_on
    where {{ where_changed('invoices.order_id_derived', changed_orders()) }}
),

-- without an order feed what a company invoiced is what it sold; credit notes are returns
derived_orders as (
    select
        order_id_derived as order_id,
        customer_id,
        source_customer_id,
        cast(invoiced_on as timestamp) as ordered_at,
        invoiced_on as ordered_on,
        'completed' as status,
        false as is_cancelled,
        cast(null as {{ dbt.type_string() }}) as sale_type,
        cast(null as {{ dbt.type_string() }}) as channel,
        cast(null as {{ dbt.type_string() }}) as contract_id,
        currency as document_currency,
        fx_rate,
        0 as count_lines,
        cast(null as decimal(18, 4)) as weight_tonnes,
        {{ in_reporting_currency('document_amount - document_tax_amount', 'fx_rate') }}
            as revenue_amount,
        0 as discount_amount,
        {{ in_reporting_currency('document_tax_amount', 'fx_rate') }} as tax_amount,
        cast(null as decimal(18, 2)) as cost_amount,
        {{ in_reporting_currency('document_amount - document_tax_amount', 'fx_rate') }}
            as ordered_amount,
        document_amount - document_tax_amount as document_ordered_amount,
        document_amount as document_gross_amount,
        true as is_derived
    from rated_invoices
),

all_orders as (
    select
        *,
        false as is_derived
    from valued_orders
    union all
    select * from derived_orders
),

final as (
    select
        order_id,
        customer_id,
        source_customer_id,
        ordered_at,
        ordered_on,
        {{ month_start('ordered_on') }} as order_month,
        status,
        is_cancelled,
        sale_type,
        channel,
        contract_id,
        {{ reporting_currency() }} as currency,
        document_currency,
        fx_rate,
        cast(count_lines as integer) as count_lines,
        cast(weight_tonnes as decimal(18, 4)) as weight_tonnes,
        cast(revenue_amount as decimal(18, 2)) as revenue_amount,
        cast(discount_amount as decimal(18, 2)) as discount_amount,
        cast(tax_amount as decimal(18, 2)) as tax_amount,
        cast(revenue_amount + tax_amount as decimal(18, 2)) as gross_amount,
        cast(cost_amount as decimal(18, 2)) as cost_amount,
        cast(revenue_amount - cost_amount as decimal(18, 2)) as margin_amount,
        cast(ordered_amount as decimal(18, 2)) as ordered_amount,
        cast(document_ordered_amount as decimal(18, 2)) as document_ordered_amount,
        cast(document_gross_amount as decimal(18, 2)) as document_gross_amount,
        is_derived
    from all_orders
)

select * from final
where {{ only_changed('orders') }}
