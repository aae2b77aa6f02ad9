-- What of an order is delivered but not invoiced, and what is neither; what is invoiced is a claim.
-- Where deliveries are not fed only the two together are known.
with deliveries as (
    select * from {{ ref('fct_deliveries') }}
),

-- a credit note takes goods or a price back: it does not call for another invoice
invoices as (
    select * from {{ ref('fct_invoices') }}
    where document_amount > 0 and order_id is not null
),

parameters as (
    select
        max(value) filter (where parameter = 'open_order_days') as open_order_days,
        max(value) filter (where parameter = 'unbilled_delivery_days') as unbilled_delivery_days,
        max(value) filter (where parameter = 'uninvoiced_order_days') as uninvoiced_order_days
    from {{ ref('credit_limit_parameters') }}
    where {{ is_in_force() }}
),

orders_delivered_lately as (
    select distinct deliveries.order_id
    from deliveries
    cross join parameters
    where
        {{ days_between('deliveries.delivered_on', as_of_date()) }}
        <= greatest(parameters.open_order_days, parameters.unbilled_delivery_days)
),

-- those that can be waiting yet: of a completed one nothing is left to deliver
orders as (
    select orders.*
    from {{ ref('fct_orders') }} as orders
    cross join parameters
    left join orders_delivered_lately on orders.order_id = orders_delivered_lately.order_id
    where
        not orders.is_cancelled
        and not orders.is_derived
        and (
            orders_delivered_lately.order_id is not null
            or {{ days_between('orders.ordered_on', as_of_date()) }} <= greatest(
                case
                    when orders.status = 'completed' then 0
                    else parameters.open_order_days
                end,
                parameters.unbilled_delivery_days,
                parameters.uninvoiced_order_days
            )
        )
),

order_lines as (
    select * from {{ ref('fct_order_lines') }}
    where order_id in (select order_id from orders)
),

feeds as (
    select
        {{ has_no_feed('deliveries') }} as has_no_deliveries,
        exists(select invoice_id from invoices) as has_named_orders
),

line_totals as (
    select
        order_id,
        case when count(quantity) = count(*) then sum(quantity) end as ordered_quantity
    from order_lines
    group by order_id
),

delivery_totals as (
    select
        order_id,
        max(delivered_on) as last_delivered_on,
        case when count(document_amount) = count(*) then sum(document_amount) end
            as delivered_net_amount,
        case when count(quantity) = count(*) then sum(quantity) end as delivered_quantity
    from deliveries
    where order_id in (select order_id from orders)
    group by order_id
),

-- in the currency of the order: at the rates of two days nothing would ever be invoiced in full
invoice_totals as (
    select
        invoices.order_id,
        cast(sum(
            case
                when invoices.document_currency = orders.document_currency
                    then invoices.document_amount
                else {{ to_amount(
                    'cast(invoices.invoice_amount / orders.fx_rate as decimal(28, 6))'
                ) }}
            end
        ) as decimal(18, 2)) as invoiced_amount
    from invoices
    inner join orders on invoices.order_id = orders.order_id
    group by invoices.order_id
),

open_orders as (
    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_on,
        orders.status,
        orders.document_currency,
        orders.fx_rate,
        orders.document_gross_amount,
        coalesce(delivery_totals.last_delivered_on, orders.ordered_on) as last_moved_on,
        coalesce(invoice_totals.invoiced_amount, 0) as invoiced_amount,
        -- by value, else by quantity; a delivery that states neither delivers everything, as does
        -- the word that the order is completed
        case
            when delivery_totals.order_id is null and orders.status = 'completed' then 1
            when delivery_totals.order_id is null then 0
            when delivery_totals.delivered_net_amount is not null
                then
                    least(
                        {{ mean_of(
                            'delivery_totals.delivered_net_amount',
                            'orders.document_ordered_amount',
                        ) }},
                        1
                    )
            when delivery_totals.delivered_quantity is not null
                then
                    least(
                        coalesce(
                            {{ mean_of(
                                'delivery_totals.delivered_quantity',
                                'line_totals.ordered_quantity',
                            ) }},
                            1
                        ),
                        1
                    )
            else 1
        end as delivered_share
    from orders
    left join invoice_totals on orders.order_id = invoice_totals.order_id
    left join delivery_totals on orders.order_id = delivery_totals.order_id
    left join line_totals on orders.order_id = line_totals.order_id
    where orders.document_gross_amount > coalesce(invoice_totals.invoiced_amount, 0)
),

delivered_orders as (
    select
        *,
        case
            when delivered_share = 1 then document_gross_amount
            else {{ to_amount('cast(document_gross_amount * delivered_share as decimal(28, 6))') }}
        end as delivered_amount
    from open_orders
),

split_orders as (
    select
        delivered_orders.*,
        feeds.has_no_deliveries,
        case
            when feeds.has_no_deliveries or delivered_orders.status = 'completed' then 0
            -- goods that nobody has moved for so long are not waiting any more
            when
                {{ days_between('delivered_orders.last_moved_on', as_of_date()) }}
                > parameters.open_order_days
                then 0
            else
                delivered_orders.document_gross_amount - greatest(
                    delivered_orders.delivered_amount, delivered_orders.invoiced_amount
                )
        end as document_undelivered_amount,
        case
            when
                not feeds.has_no_deliveries
                and {{ days_between('delivered_orders.last_moved_on', as_of_date()) }}
                <= parameters.unbilled_delivery_days
                then
                    greatest(
                        delivered_orders.delivered_amount - delivered_orders.invoiced_amount, 0
                    )
            else 0
        end as document_unbilled_amount,
        case
            when
                feeds.has_no_deliveries
                and {{ days_between('delivered_orders.ordered_on', as_of_date()) }}
                <= parameters.uninvoiced_order_days
                then delivered_orders.document_gross_amount - delivered_orders.invoiced_amount
            else 0
        end as document_uninvoiced_amount
    from delivered_orders
    cross join parameters
    cross join feeds
    -- where no invoice names an order, which orders are invoiced is not known
    where feeds.has_named_orders
),

final as (
    select
        order_id,
        customer_id,
        ordered_on,
        last_moved_on,
        {{ reporting_currency() }} as currency,
    {%- for part in ['undelivered', 'unbilled', 'uninvoiced'] %}
        {{ in_reporting_currency(
            'cast(document_' ~ part ~ '_amount as decimal(18, 2))', 'fx_rate'
        ) }} as {{ part }}_amount{{ ',' if not loop.last }}
    {%- endfor %}
    from split_orders
    where
        document_undelivered_amount > 0
        or document_unbilled_amount > 0
        or document_uninvoiced_amount > 0
)

select * from final
