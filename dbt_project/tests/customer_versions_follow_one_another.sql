-- The versions of a record never overlap; between two of them lies a gap only where the source had
-- deleted the record. A record that is not deleted as of the date has one current version, and one
-- that is deleted has none. Of a customer with current versions one is that of its main record.
with customer_versions as (
    select
        *,
        lag(valid_to) over (
            partition by source_customer_id order by version_no
        ) as previous_valid_to
    from {{ ref('dim_customer_history') }}
),

deletions as (
    select
        source_customer_id,
        updated_on
    from {{ ref('stg_landing__customer_versions') }}
    where is_deleted
),

last_landed as (
    select * from {{ ref('stg_landing__customer_versions') }}
    where updated_on is null or updated_on <= {{ as_of_date() }}
    qualify row_number() over (
        partition by source_customer_id
        order by updated_on desc, updated_at desc, landed_at desc, row_source desc
    ) = 1
),

current_counts as (
    select
        source_customer_id,
        sum(case when is_current then 1 else 0 end) as count_current
    from customer_versions
    group by source_customer_id
)

select
    customer_versions.source_customer_id,
    customer_versions.version_no
from customer_versions
left join deletions
    on
        customer_versions.source_customer_id = deletions.source_customer_id
        and customer_versions.previous_valid_to = deletions.updated_on
where
    customer_versions.version_no > 1
    and (
        customer_versions.previous_valid_to is null
        or customer_versions.valid_from < customer_versions.previous_valid_to
        or (
            customer_versions.valid_from > customer_versions.previous_valid_to
            and deletions.source_customer_id is null
        )
    )
union all
select
    last_landed.source_customer_id,
    null as version_no
from last_landed
left join current_counts on last_landed.source_customer_id = current_counts.source_customer_id
where
    coalesce(current_counts.count_current, 0) <> case when last_landed.is_deleted then 0 else 1 end
    -- of a record that begins later nothing is shown yet
    and not (
        current_counts.source_customer_id is null
        and last_landed.onboarded_on > {{ as_of_date() }}
    )
union all
select
    min(source_customer_id) as source_customer_id,
    null as version_no
from customer_versions
where is_current
group by customer_id
having sum(case when is_main_record then 1 else 0 end) <> 1
