{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed(
        'customer_id', changed_customers(), credit_months_rebuilt_when()
    ) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed(
    'customer_id', changed_customers(), credit_months_rebuilt_when()
) %}
{%- set paid_sums = [
    'paid_amount', 'paid_day_amount', 'paid_late_amount', 'paid_point_amount', 'count_paid',
] %}
{%- set receipt_sums = ['receipts_amount', 'bill_receipts_amount'] %}

-- What of a customer's month does not depend on how many days of the month have passed.
with receivables as (
    select * from {{ ref('fct_receivables') }}
    where {{ is_in_scope }}
),

claims as (
    select * from {{ ref('int_receivable_claims') }}
    where document_kind = 'invoice' and {{ is_in_scope }}
),

allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where document_kind = 'invoice' and {{ is_in_scope }}
),

payments as (
    select * from {{ ref('fct_payments') }}
    where {{ is_in_scope }}
),

customer_records as (
    select * from {{ ref('dim_customer_history') }}
    where is_main_record and size_class is not null and {{ is_in_scope }}
),

metric_parameters as (
    select * from {{ ref('credit_metric_parameters') }}
),

index_segments as (
    {{ payment_index_segments() }}
),

-- what is taken back later was paid all the same: what pays the claim then counts on its own day
paid_allocations as (
    select
        allocations.customer_id,
        allocations.paid_on,
        allocations.allocated_amount,
        claims.due_on
    from allocations
    inner join claims on allocations.document_id = claims.document_id
    where
        allocations.basis <> 'reversal'
        and allocations.credit_kind <> 'credit_note'
        and allocations.paid_on <= {{ as_of_date() }}
),

delays as (
    select
        *,
        {{ days_between('due_on', 'paid_on') }} as delay_days
    from paid_allocations
),

scored_delays as (
    select
        delays.*,
        {{ points_in_segment('index_segments', 'delays.delay_days') }} as points
    from delays
    left join index_segments
        on
            {{ is_in_segment('index_segments', 'delays.delay_days') }}
            and {{ is_in_force_on('index_segments', 'delays.paid_on') }}
),

paid_months as (
    select
        customer_id,
        {{ month_start('paid_on') }} as month_on,
        sum(allocated_amount) as paid_amount,
        sum(allocated_amount * delay_days) as paid_day_amount,
        sum(allocated_amount * greatest(delay_days, 0)) as paid_late_amount,
        sum({{ factor('allocated_amount') }} * points) as paid_point_amount,
        count(*) as count_paid
    from scored_delays
    group by customer_id, {{ month_start('paid_on') }}
),

receipt_months as (
    select
        customer_id,
        {{ month_start('received_on') }} as month_on,
        sum(payment_amount) as receipts_amount,
        sum(payment_amount) filter (
            where method in ('bank_acceptance', 'commercial_acceptance')
        ) as bill_receipts_amount
    from payments
    where payment_amount > 0
    group by customer_id, {{ month_start('received_on') }}
),

cash_months as (
    select
        customer_id,
        {{ month_start('settled_on') }} as month_on,
        sum(payment_amount) as cash_amount
    from payments
    where settled_on <= {{ as_of_date() }}
    group by customer_id, {{ month_start('settled_on') }}
),

statutory_terms as (
    {{ statutory_terms('claims') }}
),

statutory_claims as (
    select
        claims.document_id,
        claims.customer_id,
        claims.claim_amount,
        {{ add_days('statutory_terms.statutory_due_on', 1) }} as overdue_from
    from claims
    inner join statutory_terms on claims.document_id = statutory_terms.document_id
    where statutory_terms.statutory_due_on is not null
),

statutory_changes as (
    select
        customer_id,
        overdue_from as changed_on,
        claim_amount as change_amount
    from statutory_claims
    union all
    select
        statutory_claims.customer_id,
        greatest(statutory_claims.overdue_from, allocations.allocated_on) as changed_on,
        -allocations.allocated_amount as change_amount
    from allocations
    inner join statutory_claims on allocations.document_id = statutory_claims.document_id
),

statutory_months as (
    select
        customer_id,
        {{ month_start('changed_on') }} as month_on,
        sum(change_amount) as statutory_change_amount
    from statutory_changes
    where changed_on <= {{ as_of_date() }}
    group by customer_id, {{ month_start('changed_on') }}
),

first_sizes as (
    select
        customer_id,
        min(case when version_no = 1 then cast('1900-01-01' as date) else valid_from end)
            as size_known_from
    from customer_records
    group by customer_id
),

-- the windows in force at the end of a month, and the months before they begin
month_ends as (
    select
        month_on,
        max(month_end_on) as month_end_on
    from receivables
    group by month_on
),

window_lengths as (
    select
        month_ends.month_on,
        max(cast(metric_parameters.value as integer)) filter (
            where metric_parameters.parameter = 'sales_window_months'
        ) as sales_window_months,
        max(cast(metric_parameters.value as integer)) filter (
            where metric_parameters.parameter = 'payment_window_months'
        ) as payment_window_months
    from month_ends
    inner join metric_parameters
        on {{ is_in_force_on('metric_parameters', 'month_ends.month_end_on') }}
    group by month_ends.month_on
),

month_windows as (
    select
        month_on,
        {{ add_months('month_on', '1 - sales_window_months') }} as sales_from_on,
        {{ add_months('month_on', '-sales_window_months') }} as before_sales_on,
        {{ add_months('month_on', '-payment_window_months') }} as before_payments_on
    from window_lengths
),

months as (
    select
        receivables.customer_id,
        receivables.month_on,
        receivables.month_end_on,
        min(receivables.month_on) over by_month as first_month_on,
        lag(receivables.open_balance_amount) over by_month as previous_open_amount,
        lag(receivables.bills_outstanding_amount) over by_month as previous_bills_amount,
        receivables.invoiced_amount,
        receivables.credit_note_amount,
        receivables.credited_amount,
        receivables.open_balance_amount as open_amount,
        receivables.not_due_amount,
        receivables.overdue_amount,
        receivables.disputed_amount,
        receivables.bills_outstanding_amount,
        coalesce(cash_months.cash_amount, 0) as cash_amount,
        coalesce(paid_months.paid_amount, 0) as paid_amount,
        coalesce(paid_months.paid_day_amount, 0) as paid_day_amount,
        coalesce(paid_months.count_paid, 0) as count_paid,
        sum(coalesce(statutory_months.statutory_change_amount, 0)) over by_month
            as statutory_overdue_amount,
        {%- for measure in paid_sums %}
            sum(coalesce(paid_months.{{ measure }}, 0)) over by_month as {{ measure }}_to_date,
        {%- endfor %}
        {%- for measure in receipt_sums %}
            sum(coalesce(receipt_months.{{ measure }}, 0)) over by_month as {{ measure }}_to_date,
        {%- endfor %}
        sum(receivables.invoiced_amount) over by_month as invoiced_to_date_amount
    from receivables
    left join paid_months
        on
            receivables.customer_id = paid_months.customer_id
            and receivables.month_on = paid_months.month_on
    left join receipt_months
        on
            receivables.customer_id = receipt_months.customer_id
            and receivables.month_on = receipt_months.month_on
    left join cash_months
        on
            receivables.customer_id = cash_months.customer_id
            and receivables.month_on = cash_months.month_on
    left join statutory_months
        on
            receivables.customer_id = statutory_months.customer_id
            and receivables.month_on = statutory_months.month_on
    window by_month as (
        partition by receivables.customer_id
        order by receivables.month_on
        rows between unbounded preceding and current row
    )
),

{{ countback_ctes('months', 'customer_id') }},

final as (
    select
        months.customer_id,
        months.month_on,
        months.first_month_on,
        {{ has_payments() }} as has_payments,
        greatest(month_windows.sales_from_on, months.first_month_on) as sales_from_on,
        {{ or_zero('months.previous_open_amount') }} as opening_amount,
        {{ or_zero('months.previous_bills_amount') }} as opening_bills_amount,
        months.invoiced_amount,
        months.credit_note_amount,
        months.credited_amount as received_amount,
        cast(months.cash_amount as decimal(18, 2)) as cash_amount,
        months.open_amount,
        months.not_due_amount,
        months.overdue_amount,
        months.disputed_amount,
        months.bills_outstanding_amount as bills_amount,
        cast(months.invoiced_to_date_amount as decimal(18, 2)) as invoiced_to_date_amount,
        cast(
            months.invoiced_to_date_amount - coalesce(before_sales.invoiced_to_date_amount, 0)
            as decimal(18, 2)
        ) as dso_sales_amount,
        {{ or_zero('before_sales.open_amount') }} as dso_opening_amount,
        cast(months.paid_amount as decimal(18, 2)) as paid_amount,
        months.paid_day_amount,
        months.count_paid,
        {%- for name, measure in {
            'paid_window_amount': 'paid_amount',
            'paid_window_day_amount': 'paid_day_amount',
            'paid_window_late_amount': 'paid_late_amount',
            'paid_window_point_amount': 'paid_point_amount',
            'count_paid_window': 'count_paid',
            'receipts_window_amount': 'receipts_amount',
            'bill_receipts_window_amount': 'bill_receipts_amount',
        }.items() %}
            months.{{ measure }}_to_date - coalesce(before_payments.{{ measure }}_to_date, 0)
                as {{ name }},
        {%- endfor %}
        cast(
            case
                when months.statutory_overdue_amount > 0 or first_sizes.customer_id is not null
                    then months.statutory_overdue_amount
            end as decimal(18, 2)
        ) as statutory_overdue_amount,
        countback_months.countback_month_on,
        countback_months.countback_share
    from months
    inner join month_windows on months.month_on = month_windows.month_on
    left join months as before_sales
        on
            months.customer_id = before_sales.customer_id
            and month_windows.before_sales_on = before_sales.month_on
    left join months as before_payments
        on
            months.customer_id = before_payments.customer_id
            and month_windows.before_payments_on = before_payments.month_on
    left join countback_months
        on
            months.customer_id = countback_months.customer_id
            and months.month_on = countback_months.month_on
    left join first_sizes
        on
            months.customer_id = first_sizes.customer_id
            and months.month_end_on >= first_sizes.size_known_from
)

select * from final
