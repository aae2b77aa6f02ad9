{#- When every month of the credit metrics is computed again: a month was added, the windows or the
    feeds are others than those that the table was built with. -#}
{% macro credit_months_rebuilt_when() -%}
    {{ as_of_month_moved() }}
    or {{ parameters_moved('credit_metric_parameters') }}
    or (select bool_or(has_payments) from {{ this }}) is distinct from {{ has_payments() }}
{%- endmacro %}

{#- Predicate: payments are fed, or once were. -#}
{% macro has_payments() -%}
    {{ has_feed('payments') }}
{%- endmacro %}

{#- The loss given default by the rule for all others: of customers without a balance it is not
    known on its own. -#}
{% macro loss_given_default_of_others() -%}
    (
        select max(loss_given_default)
        from {{ ref('loss_given_default') }}
        where customer_type is null and size_class is null and {{ is_in_force() }}
    )
{%- endmacro %}

{#- The running month ends on the as-of date: each day it is another, for every customer. -#}
{% macro is_running_month(month_on='month_on') -%}
    {{ month_on }} = {{ month_start(as_of_date()) }}
{%- endmacro %}

{#- Pre-hook of a mart by customer and month whose running month says how old things are. -#}
{% macro delete_changed_and_running(rebuild_when) -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where
            {{ where_changed('customer_id', changed_customers(), rebuild_when) }}
            or {{ is_running_month() }}
    {%- endif -%}
{%- endmacro %}

{#- A payment index' scale as segments: from some days late to the next, between two points. The
    last goes on at its point. -#}
{% macro payment_index_segments() -%}
    select
        valid_from,
        valid_to,
        late_days as from_days,
        lead(late_days) over (partition by version, valid_from order by late_days) as until_days,
        points as from_points,
        lead(points) over (partition by version, valid_from order by late_days) as until_points
    from {{ ref('payment_index_points') }}
{%- endmacro %}

{#- Predicate: the days late lie in the segment; before the first day is on it. -#}
{% macro is_in_segment(segments, days) -%}
    greatest({{ days }}, 0) >= {{ segments }}.from_days
    and ({{ segments }}.until_days is null or greatest({{ days }}, 0) < {{ segments }}.until_days)
{%- endmacro %}

{#- The points of some days late, between those of the segment's ends; exact to four decimals, so
    that their sums are the same in any order. -#}
{% macro points_in_segment(segments, days) -%}
    cast(
        case
            when {{ segments }}.until_days is null then {{ segments }}.from_points
            else
                round(
                    {{ segments }}.from_points
                    + cast(
                        ({{ segments }}.until_points - {{ segments }}.from_points)
                        * (greatest({{ days }}, 0) - {{ segments }}.from_days)
                        as double
                    ) / ({{ segments }}.until_days - {{ segments }}.from_days),
                    4
                )
        end as decimal(9, 4)
    )
{%- endmacro %}

{#-
    CTEs that count a balance back through the months of sales, the newest first, until it is used
    up. They read a CTE of the model with month_on, invoiced_amount, invoiced_to_date_amount and
    open_amount per month, and per key if there is one. `countback_months` has for each month with
    a balance the month it reaches into and the share of that month's sales it still takes. A
    balance above all sales ever reaches into none.

    The month reached is the last one before which no more had been invoiced than sales to date
    less the balance: so one sort by these amounts finds it, without a join of months to months.
-#}
{% macro countback_ctes(months, key=none) -%}
    {%- set keys = key ~ ', ' if key else '' -%}
    countback_amounts as (
        select
            {{ keys }}month_on,
            0 as kind_no,
            invoiced_to_date_amount - invoiced_amount as amount,
            month_on as sales_month_on,
            invoiced_amount as sales_amount,
            invoiced_to_date_amount as sales_to_date_amount
        from {{ months }}
        where invoiced_amount > 0
        union all
        select
            {{ keys }}month_on,
            1 as kind_no,
            invoiced_to_date_amount - open_amount as amount,
            cast(null as date) as sales_month_on,
            cast(null as decimal(18, 2)) as sales_amount,
            cast(null as decimal(18, 2)) as sales_to_date_amount
        from {{ months }}
        where open_amount > 0 and open_amount <= invoiced_to_date_amount
    ),

    countback_reaches as (
        select
            {{ keys }}month_on,
            kind_no,
            amount,
            {{ last_known('sales_month_on') }} over up_to_amount as countback_month_on,
            {{ last_known('sales_amount') }} over up_to_amount as reached_sales_amount,
            {{ last_known('sales_to_date_amount') }} over up_to_amount as reached_to_date_amount
        from countback_amounts
        window up_to_amount as (
            {{ 'partition by ' ~ key if key }}
            order by amount, kind_no, month_on
            rows between unbounded preceding and current row
        )
    ),

    countback_months as (
        select
            {{ keys }}month_on,
            countback_month_on,
            cast(reached_to_date_amount - amount as double)
            / cast(reached_sales_amount as double) as countback_share
        from countback_reaches
        where kind_no = 1
    )
{%- endmacro %}

{#- The columns that credit_metrics and book_credit_metrics add by month, customers summed. -#}
{% macro credit_amounts() -%}
    {{ return([
        'opening_amount', 'opening_bills_amount', 'invoiced_amount', 'credit_note_amount',
        'received_amount', 'cash_amount', 'open_amount', 'not_due_amount', 'overdue_amount',
        'disputed_amount', 'bills_amount', 'dso_sales_amount', 'dso_opening_amount',
        'paid_amount', 'paid_window_amount', 'receipts_window_amount',
        'bill_receipts_window_amount', 'overdue_invoice_amount',
    ]) }}
{%- endmacro %}

{#- What the ratios need beside the amounts: counts, and amounts times days or points. -#}
{% macro credit_weights() -%}
    {{ return([
        'count_paid', 'count_paid_window', 'count_overdue_invoices', 'paid_day_amount',
        'paid_window_day_amount', 'paid_window_late_amount', 'paid_window_point_amount',
        'overdue_day_amount', 'overdue_point_amount',
    ]) }}
{%- endmacro %}

{#-
    The ratios of a month, of one customer or of the whole book, and why one is null. They read a
    CTE `figures` with credit_amounts(), credit_weights(), has_payments, month_end_on,
    dso_window_days, invoiced_to_date_amount, countback_month_on, countback_share.
-#}
{% macro credit_statuses() -%}
    case
            when not has_payments then 'no_payments_feed'
            when dso_sales_amount <= 0 then 'no_sales'
            else 'known'
        end as dso_status,
        case
            when not has_payments then 'no_payments_feed'
            when invoiced_to_date_amount <= 0 then 'no_sales'
            when open_amount > invoiced_to_date_amount then 'balance_exceeds_sales'
            else 'known'
        end as countback_dso_status,
        case
            when not has_payments then 'no_payments_feed'
            when dso_opening_amount + dso_sales_amount < open_amount then 'balance_exceeds_sales'
            when dso_opening_amount + dso_sales_amount <= not_due_amount
                then 'nothing_to_collect'
            else 'known'
        end as cei_status,
        case
            when not has_payments then 'no_payments_feed'
            when paid_amount <= 0 then 'nothing_paid'
            else 'known'
        end as paid_delay_status,
        case
            when not has_payments then 'no_payments_feed'
            when paid_window_amount <= 0 then 'nothing_paid'
            else 'known'
        end as window_delay_status,
        case
            when not has_payments then 'no_payments_feed'
            when greatest(paid_window_amount, 0) + overdue_invoice_amount <= 0
                then 'nothing_paid_or_overdue'
            else 'known'
        end as payment_index_status,
        case
            when not has_payments then 'no_payments_feed'
            when open_amount <= 0 then 'nothing_open'
            else 'known'
        end as open_share_status,
        case
            when not has_payments then 'no_payments_feed'
            when opening_amount + invoiced_amount <= 0 then 'nothing_to_collect'
            else 'known'
        end as collection_status,
        case
            when not has_payments then 'no_payments_feed'
            when opening_amount + opening_bills_amount + invoiced_amount <= 0
                then 'nothing_to_collect'
            else 'known'
        end as cash_collection_status,
        case
            when not has_payments then 'no_payments_feed'
            when receipts_window_amount <= 0 then 'no_receipts'
            else 'known'
        end as bill_share_status
{%- endmacro %}

{#- A ratio as a double where its status says that it is known. -#}
{% macro known_ratio(status, dividend, divisor) -%}
    case
            when {{ status }} = 'known'
                then cast({{ dividend }} as double) / cast({{ divisor }} as double)
        end
{%- endmacro %}

{#- The ratios of `judged_figures`, that is `figures` with their statuses. -#}
{% macro credit_ratios() -%}
    {#- a window whose payments were all taken back has none to weigh -#}
    {%- set has_paid = 'paid_window_amount > 0' -%}
    cast(dso_window_days as integer) as dso_window_days,
        {{ known_ratio('dso_status', 'open_amount * dso_window_days', 'dso_sales_amount') }}
            as dso_days,
        {{ known_ratio('dso_status', 'not_due_amount * dso_window_days', 'dso_sales_amount') }}
            as best_possible_dso_days,
        {{ known_ratio('dso_status', 'overdue_amount * dso_window_days', 'dso_sales_amount') }}
            as delinquent_days,
        dso_status,
        countback_month_on,
        case
            when countback_dso_status <> 'known' then null
            when countback_month_on is null then 0
            else
                {{ days_between('countback_ends_on', 'month_end_on') }}
                + countback_share
                * ({{ days_between('countback_month_on', 'countback_ends_on') }} + 1)
        end as countback_dso_days,
        countback_dso_status,
        {{ known_ratio(
            'cei_status', 'dso_opening_amount + dso_sales_amount - open_amount',
            'dso_opening_amount + dso_sales_amount - not_due_amount'
        ) }} as cei_rate,
        cei_status,
        {{ known_ratio('paid_delay_status', 'paid_day_amount', 'paid_amount') }}
            as paid_delay_days,
        paid_delay_status,
        {{ known_ratio('window_delay_status', 'paid_window_day_amount', 'paid_window_amount') }}
            as window_delay_days,
        {{ known_ratio('window_delay_status', 'paid_window_late_amount', 'paid_window_amount') }}
            as days_beyond_terms,
        window_delay_status,
        {%- for column, weight in {
            'delay_with_open_days': 'day', 'payment_index': 'point',
        }.items() %}
        {{ known_ratio(
            'payment_index_status',
            'case when ' ~ has_paid ~ ' then paid_window_' ~ weight ~ '_amount else 0 end'
            ~ ' + overdue_' ~ weight ~ '_amount',
            'greatest(paid_window_amount, 0) + overdue_invoice_amount'
        ) }} as {{ column }},
        {%- endfor %}
        payment_index_status,
        {{ known_ratio('open_share_status', 'overdue_amount', 'open_amount') }} as overdue_share,
        {{ known_ratio('open_share_status', 'disputed_amount', 'open_amount') }} as dispute_share,
        open_share_status,
        {{ known_ratio(
            'collection_status', 'received_amount', 'opening_amount + invoiced_amount'
        ) }} as collection_rate,
        collection_status,
        {{ known_ratio(
            'cash_collection_status', 'cash_amount',
            'opening_amount + opening_bills_amount + invoiced_amount'
        ) }} as cash_collection_rate,
        cash_collection_status,
        {{ known_ratio(
            'bill_share_status', 'bill_receipts_window_amount', 'receipts_window_amount'
        ) }} as bill_share,
        bill_share_status
{%- endmacro %}
