{%- set attributes = [
    'customer_name', 'legal_id', 'group_id', 'parent_id', 'industry', 'size_class', 'region',
    'customer_type', 'account_manager', 'payment_terms_days', 'credit_limit_amount',
    'net_worth_amount', 'working_capital_amount', 'onboarded_on',
] -%}

with landed_versions as (
    select * from {{ ref('stg_landing__customer_versions') }}
),

-- of several versions on one day the last one counts
day_versions as (
    select
        *,
        row_number() over (
            partition by source_customer_id order by updated_on asc
        ) = 1 as is_first_known
    from (
        select * from landed_versions
        qualify row_number() over (
            partition by source_customer_id, updated_on
            order by updated_at desc, landed_at desc, row_source desc
        ) = 1
    ) as last_of_day
),

-- what was known first holds from the onboarding on, or ever, where that has no date
known_versions as (
    select
        *,
        case
            when not is_first_known or is_deleted then updated_on
            when onboarded_on is not null then least(onboarded_on, updated_on)
        end as valid_from
    from day_versions
    where is_first_known or updated_on <= {{ as_of_date() }}
),

-- a version is compared with the last one that was not deleted
compared_versions as (
    select
        *,
        row_number() over (
            partition by source_customer_id, is_deleted order by updated_on asc
        ) = 1 as is_first_of_kind,
        coalesce(
            lag(is_deleted) over (partition by source_customer_id order by updated_on asc)
            <> is_deleted,
            true
        ) as has_turned,
        {{ names_of_changed(
            attributes, 'source_customer_id, is_deleted', 'updated_on'
        ) }} as changed_columns
    from known_versions
),

numbered_versions as (
    select
        *,
        has_turned or (not is_deleted and changed_columns <> '') as is_change,
        sum(case when has_turned or (not is_deleted and changed_columns <> '') then 1 else 0 end)
            over (partition by source_customer_id order by updated_on asc) as change_no
    from compared_versions
),

-- versions that say the same are one, touched last when the last of them was
touched_versions as (
    select
        *,
        max(case when updated_on <= {{ as_of_date() }} then updated_at end) over (
            partition by source_customer_id, change_no
        ) as last_updated_at
    from numbered_versions
),

ended_versions as (
    select
        *,
        lead(valid_from) over (partition by source_customer_id order by updated_on asc) as valid_to
    from touched_versions
    where is_change
)

select
    source_customer_id,
    customer_id,
    cast(
        row_number() over (partition by source_customer_id order by updated_on asc) as integer
    ) as version_no,
    valid_from,
    valid_to,
    {{ attributes | join(',\n    ') }},
    case when not is_first_of_kind then changed_columns end as changed_columns,
    last_updated_at as updated_at,
    case when updated_at is null then 'current_only' else 'source_update' end as history_basis
from ended_versions
where not is_deleted
