-- The versions of an opportunity end with the one that stands in landing.opportunities, as those of
-- a customer's record do; one whose source tells no update time has the one that stands.
with standing_opportunities as (
    select * from {{ source('landing', 'opportunities') }}
    where _held_reason is null
),

kept_versions as (
    select * from {{ source('landing', 'opportunity_versions') }}
)

select
    -- keys
    kept_versions.opportunity_id,
    -- attributes
    kept_versions.stage,
    -- dates
    kept_versions.closed_on,
    kept_versions.updated_at,
    kept_versions._updated_on as updated_on,
    kept_versions._landed_at as landed_at,
    -- facts about the row
    kept_versions._source as row_source,
    kept_versions.is_deleted
from kept_versions
inner join standing_opportunities
    on kept_versions.opportunity_id = standing_opportunities.opportunity_id
where
    kept_versions.updated_at < standing_opportunities.updated_at
    or (
        kept_versions.updated_at = standing_opportunities.updated_at
        and kept_versions._row_hash = standing_opportunities._row_hash
    )
union all
select
    standing_opportunities.opportunity_id,
    standing_opportunities.stage,
    standing_opportunities.closed_on,
    cast(null as timestamp) as updated_at,
    cast(null as date) as updated_on,
    cast(null as timestamp) as landed_at,
    standing_opportunities._source as row_source,
    standing_opportunities.is_deleted
from standing_opportunities
where standing_opportunities.updated_at is null
