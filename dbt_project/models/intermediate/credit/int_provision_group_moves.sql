{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_months_from(first_moved_month()) }}",
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('stg_landing__run_context') }}
-- depends_on: {{ ref('write_offs') }}
-- depends_on: {{ ref('credit_default_rules') }}

{%- set is_in_scope = 'month_on >= ' ~ first_moved_month() if is_incremental() else 'true' %}

-- Summed over customers, so a month is summed again whole from the first in which any of them moved
-- otherwise.
with transitions as (
    select * from {{ ref('int_bucket_transitions') }}
    where from_bucket is not null and {{ is_in_scope }}
),

group_months as (
    select * from {{ ref('int_provision_group_months') }}
    where {{ is_in_scope }}
),

final as (
    select
        group_months.provision_group,
        transitions.month_on,
        transitions.from_bucket,
        transitions.to_bucket,
        {{ sum_amount('transitions.kept_amount') }} as kept_amount,
        {{ sum_amount('transitions.paid_amount + transitions.credited_amount') }}
            as settled_amount,
        {{ sum_amount('transitions.written_off_amount') }} as written_off_amount,
        cast(sum(transitions.count_claims) as integer) as count_claims
    from transitions
    inner join group_months
        on
            transitions.customer_id = group_months.customer_id
            and transitions.month_on = group_months.month_on
    group by
        group_months.provision_group,
        transitions.month_on,
        transitions.from_bucket,
        transitions.to_bucket
)

select * from final
