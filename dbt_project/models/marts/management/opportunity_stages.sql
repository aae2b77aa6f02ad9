-- The path of a deal, from the versions of it that landed. A stage that it passed between two pulls
-- was not seen; what it had behind it when it was first seen, neither.
with opportunity_versions as (
    select * from {{ ref('stg_landing__opportunity_versions') }}
    where not is_deleted
),

opportunities as (
    select * from {{ ref('fct_opportunities') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

code_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'opportunity_stage' and {{ is_in_force() }}
),

entry_texts as (
    select
        code,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'stage_entry' and {{ is_in_force() }}
),

stage_order as (
    select
        parameter as stage,
        value as place
    from {{ ref('performance_parameters') }}
    where area = 'stage_order' and {{ is_in_force() }}
),

placed_versions as (
    select
        opportunity_versions.opportunity_id,
        opportunity_versions.stage,
        opportunity_versions.closed_on,
        opportunity_versions.updated_on,
        opportunities.opened_on,
        stage_order.place,
        opportunity_versions.stage in ('won', 'lost') as is_closed,
        row_number() over (
            partition by opportunity_versions.opportunity_id
            order by
                opportunity_versions.updated_at, opportunity_versions.landed_at,
                opportunity_versions.row_source
        ) as version_no
    from opportunity_versions
    inner join opportunities
        on opportunity_versions.opportunity_id = opportunities.opportunity_id
    left join stage_order on opportunity_versions.stage = stage_order.stage
),

-- a deal that is first seen at the first stage, or on the day it was opened, has nothing behind it
dated_versions as (
    select
        *,
        version_no = 1 and not is_closed and (place = 1 or updated_on <= opened_on) as is_opening,
        case
            when is_closed then coalesce(closed_on, updated_on)
            when version_no = 1 and (place = 1 or updated_on <= opened_on) then opened_on
            else updated_on
        end as valid_on
    from placed_versions
),

-- a closing that was entered late does not lie before what was known of the deal by then
known_versions as (
    select
        *,
        max(greatest(coalesce(valid_on, opened_on), opened_on)) over (
            partition by opportunity_id order by version_no
            rows between unbounded preceding and current row
        ) as entered_on,
        coalesce(
            lag(stage) over (partition by opportunity_id order by version_no) <> stage, true
        ) as is_entry
    from dated_versions
    where valid_on is null or valid_on <= {{ as_of_date() }}
),

visits as (
    select
        *,
        row_number() over (partition by opportunity_id order by version_no) as stage_no,
        lead(stage) over (partition by opportunity_id order by version_no) as next_stage,
        lead(place) over (partition by opportunity_id order by version_no) as next_place,
        lead(entered_on) over (partition by opportunity_id order by version_no) as left_on,
        case
            when version_no > 1 or (is_closed and valid_on is not null) then 'seen'
            when is_opening then 'opening'
            else 'before_first_seen'
        end as entry_status
    from known_versions
    where is_entry
),

judged_visits as (
    select
        *,
        case when entry_status <> 'before_first_seen' then entered_on end as known_entered_on,
        case
            when next_stage is null and is_closed then 'closed'
            when next_stage is null then 'current'
            when next_stage = 'lost' then 'lost'
            when is_closed then 'reopened'
            when next_place > place then 'went_on'
            else 'went_back'
        end as outcome
    from visits
),

final as (
    select
        judged_visits.opportunity_id,
        cast(judged_visits.stage_no as integer) as stage_no,
        opportunities.customer_id,
        customers.customer_name,
        coalesce(opportunities.account_manager, '-') as account_manager,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        opportunities.opportunity_amount,
        judged_visits.stage,
        code_labels.label_en as stage_label_en,
        code_labels.label_zh as stage_label_zh,
        cast(judged_visits.place as integer) as stage_place,
        judged_visits.is_closed,
        opportunities.opened_on,
        judged_visits.known_entered_on as entered_on,
        judged_visits.left_on,
        judged_visits.next_stage,
        judged_visits.outcome,
        judged_visits.updated_on as first_seen_on,
        case
            when not judged_visits.is_closed
                then cast(
                    {{ days_between(
                        'judged_visits.known_entered_on',
                        'coalesce(judged_visits.left_on, ' ~ as_of_date() ~ ')'
                    ) }} as integer
                )
        end as days_in_stage,
        judged_visits.entry_status,
        entry_texts.label_en as entry_status_label_en,
        entry_texts.label_zh as entry_status_label_zh
    from judged_visits
    inner join opportunities on judged_visits.opportunity_id = opportunities.opportunity_id
    left join customers on opportunities.customer_id = customers.customer_id
    left join code_labels on judged_visits.stage = code_labels.code
    left join entry_texts on judged_visits.entry_status = entry_texts.code
)

select * from final
