{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('complaint_id', changed_rows('complaints')) }}",
) }}
-- depends_on: {{ ref('int_rows_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with complaints as (
    select
        *,
        -- the feed has the latest state: what a later resolution brought is not known yet
        coalesce(resolved_on > {{ as_of_date() }}, false) as is_resolved_later
    from {{ ref('stg_landing__complaints') }}
    where
        opened_on <= {{ as_of_date() }}
        and {{ where_changed('complaint_id', changed_rows('complaints')) }}
),

final as (
    select
        complaint_id,
        customer_id,
        source_customer_id,
        order_id,
        opened_at,
        opened_on,
        case when responded_on <= {{ as_of_date() }} then responded_at end as responded_at,
        case when not is_resolved_later then resolved_at end as resolved_at,
        case when not is_resolved_later then resolved_on end as resolved_on,
        category,
        severity,
        case when not is_resolved_later then resolution end as resolution,
        resolved_on is null or is_resolved_later as is_open,
        is_reopened,
        case when not is_resolved_later then is_satisfied end as is_satisfied,
        {{ reporting_currency() }} as currency,
        case when not is_resolved_later then compensation_amount end as compensation_amount
    from complaints
)

select * from final
