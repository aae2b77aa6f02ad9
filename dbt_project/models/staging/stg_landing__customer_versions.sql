-- The versions of a record end with the one that stands in landing.customers: what sorts after it
-- was read in a way that no longer holds, or a person has replaced it. A record whose source tells
-- no update time has one version, the one that stands.
with standing_records as (
    select * from {{ source('landing', 'customers') }}
    where _held_reason is null
),

kept_versions as (
    select * from {{ source('landing', 'customer_versions') }}
)

select
    -- keys
    kept_versions.customer_id as source_customer_id,
    kept_versions._customer_id as customer_id,
    -- attributes
    {{ landed_customer_attributes('kept_versions') }},
    -- dates
    kept_versions.updated_at,
    kept_versions._updated_on as updated_on,
    kept_versions._landed_at as landed_at,
    -- facts about the row
    kept_versions._source as row_source,
    kept_versions.is_deleted,
    kept_versions._changed_in as changed_in
from kept_versions
inner join standing_records on kept_versions.customer_id = standing_records.customer_id
where
    kept_versions.updated_at < standing_records.updated_at
    or (
        kept_versions.updated_at = standing_records.updated_at
        and kept_versions._row_hash = standing_records._row_hash
    )
union all
select
    standing_records.customer_id as source_customer_id,
    standing_records._customer_id as customer_id,
    {{ landed_customer_attributes('standing_records') }},
    cast(null as timestamp) as updated_at,
    cast(null as date) as updated_on,
    cast(null as timestamp) as landed_at,
    standing_records._source as row_source,
    standing_records.is_deleted,
    standing_records._changed_in as changed_in
from standing_records
where standing_records.updated_at is null
