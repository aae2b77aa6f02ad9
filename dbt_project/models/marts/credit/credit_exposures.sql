{%- set components = {
    'undelivered': 'undelivered_orders', 'unbilled': 'unbilled_deliveries',
    'uninvoiced': 'uninvoiced_orders', 'open_document': 'open_invoices', 'bill': 'bills',
    'contingent_bill': 'contingent_bills', 'credit': 'prepayments',
} %}

with customers as (
    select * from {{ ref('dim_customers') }}
),

exposure_items as (
    select * from {{ ref('int_exposure_items') }}
),

feeds as (
    select
        case
            when {{ orders_are_derived() }} then 'no_order_feed'
            when
                not exists (
                    select invoice_id
                    from {{ ref('fct_invoices') }}
                    where document_amount > 0 and order_id is not null
                )
                then 'orders_not_named'
            when {{ has_no_feed('deliveries') }} then 'no_delivery_feed'
            else 'available'
        end as orders_status
),

status_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'exposure_status' and {{ is_in_force() }}
),

component_totals as (
    select
        customer_id,
        {%- for component, name in components.items() %}
            {{ sum_amount("case when component = '" ~ component ~ "' then face_amount end") }}
                as {{ name }}_amount,
            {{ sum_amount("case when component = '" ~ component ~ "' then counted_amount end") }}
                as {{ name }}_counted_amount,
        {%- endfor %}
        -- one that is delivered in part has two pieces
        count(
            distinct case
                when component in ('undelivered', 'unbilled', 'uninvoiced') then item_id
            end
        ) as count_orders,
        {{ sum_amount("case when component <> 'credit' then counted_amount end") }}
            as gross_exposure_amount
    from exposure_items
    group by customer_id
),

-- what is paid ahead covers the customer's own exposure and no more
net_totals as (
    select
        *,
        least(prepayments_amount, gross_exposure_amount) as prepayments_applied_amount,
        gross_exposure_amount - least(prepayments_amount, gross_exposure_amount)
            as exposure_amount
    from component_totals
),

book_total as (
    select sum(exposure_amount) as exposure_amount
    from net_totals
),

final as (
    select
        customers.customer_id,
        {{ reporting_currency() }} as currency,
        {{ as_of_date() }} as as_of,
        customers.group_key,
        feeds.orders_status,
        status_labels.label_en as orders_status_label_en,
        status_labels.label_zh as orders_status_label_zh,
        case
            when feeds.orders_status = 'available'
                then {{ or_zero('net_totals.undelivered_orders_amount') }}
        end as undelivered_orders_amount,
        case
            when feeds.orders_status = 'available'
                then {{ or_zero('net_totals.unbilled_deliveries_amount') }}
        end as unbilled_deliveries_amount,
        case
            when feeds.orders_status = 'no_delivery_feed'
                then {{ or_zero('net_totals.uninvoiced_orders_amount') }}
        end as uninvoiced_orders_amount,
        {{ or_zero('net_totals.open_invoices_amount') }} as open_invoices_amount,
        {{ or_zero('net_totals.bills_amount') }} as bills_not_matured_amount,
        {{ or_zero('net_totals.bills_counted_amount') }} as bills_counted_amount,
        {{ or_zero('net_totals.contingent_bills_amount') }} as contingent_bills_amount,
        {{ or_zero('net_totals.contingent_bills_counted_amount') }}
            as contingent_bills_counted_amount,
        {{ or_zero('net_totals.gross_exposure_amount') }} as gross_exposure_amount,
        {{ or_zero('net_totals.prepayments_amount') }} as prepayments_amount,
        {{ or_zero('net_totals.prepayments_applied_amount') }} as prepayments_applied_amount,
        {{ or_zero('net_totals.exposure_amount') }} as exposure_amount,
        {{ mean_of('coalesce(net_totals.exposure_amount, 0)', 'book_total.exposure_amount') }}
            as share_of_book,
        cast(coalesce(net_totals.count_orders, 0) as integer) as count_orders
    from customers
    cross join feeds
    cross join book_total
    inner join status_labels on feeds.orders_status = status_labels.code
    left join net_totals on customers.customer_id = net_totals.customer_id
)

select * from final
