-- The 12 months' revenue of the book is the sum of these 12 months, at every month's end.
with months as (
    select
        month_on,
        sum(net_revenue_amount) as net_revenue_amount
    from {{ ref('fct_customer_months') }}
    group by month_on
),

history as (
    select
        month_on,
        sum(revenue_12_months_amount) as revenue_12_months_amount
    from {{ ref('customer_segment_history') }}
    group by month_on
)

select
    history.month_on,
    history.revenue_12_months_amount,
    sum(months.net_revenue_amount) as net_revenue_amount
from history
left join months
    on
        history.month_on >= months.month_on
        and {{ months_between('months.month_on', 'history.month_on') }} < 12
group by history.month_on, history.revenue_12_months_amount
having history.revenue_12_months_amount <> coalesce(sum(months.net_revenue_amount), 0)
