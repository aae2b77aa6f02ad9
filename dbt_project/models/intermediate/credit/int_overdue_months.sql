{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_and_running(as_of_month_moved()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}

{%- set is_in_scope = where_changed('customer_id', changed_customers(), as_of_month_moved()) %}
{%- set this_month = month_start(as_of_date()) %}

-- of a customer without changes only the running month is another than yesterday
with spans as (
    select
        *,
        coalesce({{ add_months('until_month_on', -1) }}, {{ this_month }}) as last_month_on
    from {{ ref('int_overdue_spans') }}
    where {{ is_in_scope }} or until_month_on is null
),

index_segments as (
    {{ payment_index_segments() }}
),

span_months as (
    select
        customer_id,
        document_kind,
        due_on,
        open_amount,
        cast(
            {{ explode_months(
                'case when ' ~ is_in_scope ~ ' then from_month_on else ' ~ this_month ~ ' end',
                'last_month_on'
            ) }} as date
        ) as month_on
    from spans
),

month_ends as (
    select
        *,
        {{ state_on('month_on') }} as month_end_on
    from span_months
),

aged_claims as (
    select
        *,
        {{ days_between('due_on', 'month_end_on') }} as overdue_days
    from month_ends
),

scored_claims as (
    select
        aged_claims.*,
        {{ points_in_segment('index_segments', 'aged_claims.overdue_days') }} as points
    from aged_claims
    left join index_segments
        on
            {{ is_in_segment('index_segments', 'aged_claims.overdue_days') }}
            and {{ is_in_force_on('index_segments', 'aged_claims.month_end_on') }}
),

final as (
    select
        customer_id,
        month_on,
        {{ sum_amount('open_amount') }} as overdue_amount,
        {{ sum_amount("case when document_kind = 'invoice' then open_amount end") }}
            as overdue_invoice_amount,
        coalesce(
            sum(open_amount * overdue_days) filter (where document_kind = 'invoice'), 0
        ) as overdue_day_amount,
        coalesce(
            sum({{ factor('open_amount') }} * points) filter (where document_kind = 'invoice'), 0
        ) as overdue_point_amount,
        count(*) filter (where document_kind = 'invoice') as count_overdue_invoices,
        max(overdue_days) filter (where document_kind = 'invoice') as oldest_overdue_days
    from scored_claims
    group by customer_id, month_on
)

select * from final
