with customer_months as (
    select * from {{ ref('int_metric_months') }}
),

overdue_months as (
    select * from {{ ref('int_overdue_months') }}
),

book_overdue_months as (
    select
        month_on,
        sum(overdue_invoice_amount) as overdue_invoice_amount,
        sum(overdue_day_amount) as overdue_day_amount,
        sum(overdue_point_amount) as overdue_point_amount,
        sum(count_overdue_invoices) as count_overdue_invoices,
        max(oldest_overdue_days) as oldest_overdue_days
    from overdue_months
    group by month_on
),

largest_debtors as (
    select
        month_on,
        customer_id,
        open_amount
    from customer_months
    where open_amount > 0
    qualify row_number() over (
        partition by month_on
        order by open_amount desc, customer_id asc
    ) = 1
),

months as (
    select
        month_on,
        bool_or(has_payments) as has_payments,
        min(sales_from_on) as sales_from_on,
        {%- for measure in credit_amounts() + credit_weights()
            if not measure.startswith('overdue_invoice') and not measure in [
                'overdue_day_amount', 'overdue_point_amount', 'count_overdue_invoices',
            ] %}
            sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        sum(invoiced_to_date_amount) as invoiced_to_date_amount,
        sum(statutory_overdue_amount) as statutory_overdue_amount,
        count(*) as count_customers,
        count(*) filter (where open_amount > 0) as count_debtors,
        count(*) filter (where overdue_amount > 0) as count_overdue_customers,
        count(*) filter (where statutory_overdue_amount > 0) as count_statutory_overdue_customers,
        count(*) filter (where statutory_overdue_amount is null) as count_size_unknown
    from customer_months
    group by month_on
),

{{ countback_ctes('months') }},

figures as (
    select
        months.*,
        {{ state_on('months.month_on') }} as month_end_on,
        {{ days_between('months.sales_from_on', state_on('months.month_on')) }} + 1
            as dso_window_days,
        countback_months.countback_month_on,
        countback_months.countback_share,
        least(
            {{ add_days(add_months('countback_months.countback_month_on', 1), -1) }},
            {{ as_of_date() }}
        ) as countback_ends_on,
        coalesce(book_overdue_months.overdue_invoice_amount, 0) as overdue_invoice_amount,
        coalesce(book_overdue_months.overdue_day_amount, 0) as overdue_day_amount,
        coalesce(book_overdue_months.overdue_point_amount, 0) as overdue_point_amount,
        coalesce(book_overdue_months.count_overdue_invoices, 0) as count_overdue_invoices,
        coalesce(book_overdue_months.oldest_overdue_days, 0) as oldest_overdue_days,
        largest_debtors.customer_id as largest_debtor_id,
        largest_debtors.open_amount as largest_debtor_amount
    from months
    left join countback_months on months.month_on = countback_months.month_on
    left join book_overdue_months on months.month_on = book_overdue_months.month_on
    left join largest_debtors on months.month_on = largest_debtors.month_on
),

judged_figures as (
    select
        *,
        {{ credit_statuses() }},
        case
            when {{ seller_is_large() }} then 'seller_is_large'
            when not has_payments then 'no_payments_feed'
            when count_size_unknown = count_customers then 'buyer_size_unknown'
            else 'known'
        end as statutory_status
    from figures
),

final as (
    select
        month_on,
        month_end_on,
        {{ reporting_currency() }} as currency,
        cast(count_customers as integer) as count_customers,
        cast(count_debtors as integer) as count_debtors,
        cast(count_overdue_customers as integer) as count_overdue_customers,
        {%- for amount in credit_amounts() %}
            cast({{ amount }} as decimal(18, 2)) as {{ amount }},
        {%- endfor %}
        cast(count_paid as integer) as count_paid,
        cast(count_paid_window as integer) as count_paid_window,
        cast(count_overdue_invoices as integer) as count_overdue_invoices,
        cast(oldest_overdue_days as integer) as oldest_overdue_days,
        {{ credit_ratios() }},
        largest_debtor_id,
        largest_debtor_amount,
        {{ known_ratio('open_share_status', 'largest_debtor_amount', 'open_amount') }}
            as largest_debtor_share,
        cast(
            case when statutory_status = 'known' then statutory_overdue_amount end
            as decimal(18, 2)
        ) as statutory_overdue_amount,
        cast(count_statutory_overdue_customers as integer) as count_statutory_overdue_customers,
        cast(count_size_unknown as integer) as count_size_unknown,
        statutory_status
    from judged_figures
)

select * from final
