-- What became of deals stage by stage: of those that were seen leaving a stage within the window,
-- how many went on. A deal that was first seen closed has no path and says nothing of stages.
with pipeline_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters',
        ['window_months', 'min_closed', 'interval_quantile'],
        area='pipeline',
    ) }}
),

visits as (
    select
        *,
        row_number() over (partition by opportunity_id, stage order by stage_no desc) = 1
            as is_last_of_stage
    from {{ ref('opportunity_stages') }}
),

opportunities as (
    select * from {{ ref('fct_opportunities') }}
),

stage_order as (
    select
        parameter as stage,
        value as stage_place
    from {{ ref('performance_parameters') }}
    where area = 'stage_order' and parameter <> 'won' and {{ is_in_force() }}
),

code_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'opportunity_stage' and {{ is_in_force() }}
),

path_texts as (
    select
        code,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'stage_path' and {{ is_in_force() }}
),

windows as (
    select
        *,
        {{ add_months(
            month_start(as_of_date()), 'cast(1 - pipeline_rules.window_months as integer)'
        ) }} as window_from_on
    from pipeline_rules
),

member_deals as (
    select
        opportunities.*,
        'account_manager' as dimension,
        coalesce(opportunities.account_manager, '-') as member
    from opportunities
    union all
    select
        opportunities.*,
        'book' as dimension,
        'all' as member
    from opportunities
),

paths as (
    select distinct opportunity_id
    from visits
    where not is_closed
),

-- deals closed within the window, and those of them of which no open stage was ever seen
member_sums as (
    select
        member_deals.dimension,
        member_deals.member,
        count(*) filter (where member_deals.closed_on >= windows.window_from_on) as count_closed,
        count(*) filter (
            where
            member_deals.closed_on >= windows.window_from_on
            and paths.opportunity_id is null
        ) as count_without_path
    from member_deals
    cross join windows
    left join paths on member_deals.opportunity_id = paths.opportunity_id
    group by member_deals.dimension, member_deals.member
),

member_visits as (
    select
        member_deals.dimension,
        member_deals.member,
        visits.opportunity_id,
        visits.stage,
        visits.outcome,
        visits.entered_on,
        visits.days_in_stage,
        visits.is_last_of_stage,
        member_deals.is_won,
        coalesce(member_deals.closed_on >= windows.window_from_on, false) as is_closed_in_window,
        coalesce(visits.entered_on >= windows.window_from_on, false) as is_entered_in_window,
        coalesce(visits.left_on >= windows.window_from_on, false) as is_left_in_window
    from visits
    inner join member_deals on visits.opportunity_id = member_deals.opportunity_id
    cross join windows
    where not visits.is_closed
),

stage_sums as (
    select
        dimension,
        member,
        stage,
        count(*) filter (where is_entered_in_window) as count_entered,
        count(*) filter (where is_left_in_window and outcome = 'went_on') as count_went_on,
        count(*) filter (where is_left_in_window and outcome = 'lost') as count_lost,
        count(*) filter (where is_left_in_window and outcome = 'went_back') as count_went_back,
        count(*) filter (where is_last_of_stage and is_closed_in_window) as count_closed,
        count(*) filter (where is_last_of_stage and is_closed_in_window and is_won) as count_won
    from member_visits
    group by dimension, member, stage
),

-- how long a stage takes (Kaplan and Meier): visits begun within the window, those that still last
-- counted as long as they were watched
visit_ages as (
    select
        dimension,
        member,
        stage,
        days_in_stage,
        count(*) as count_deals,
        count(*) filter (where outcome <> 'current') as count_closed
    from member_visits
    where is_entered_in_window
    group by dimension, member, stage, days_in_stage
),

visits_at_risk as (
    select
        visit_ages.*,
        sum(count_deals) over (
            partition by dimension, member, stage
            order by days_in_stage desc
            rows between unbounded preceding and current row
        ) as count_at_risk
    from visit_ages
),

survival as (
    select
        visits_at_risk.*,
        count_closed = count_at_risk as is_last,
        sum(
            {{ log_share_left_open() }}
        ) over (
            partition by dimension, member, stage
            order by days_in_stage
            rows between unbounded preceding and current row
        ) as log_open_share
    from visits_at_risk
),

-- rounding must not put off the day by which exactly half have left
median_days as (
    select
        dimension,
        member,
        stage,
        min(days_in_stage) filter (
            where is_last or exp(cast(log_open_share as double)) <= 0.5 + 1e-9
        ) as median_days_in_stage
    from survival
    group by dimension, member, stage
),

rated_stages as (
    select
        member_sums.dimension,
        member_sums.member,
        stage_order.stage,
        stage_order.stage_place,
        member_sums.count_closed as count_closed_of_member,
        member_sums.count_without_path,
        coalesce(stage_sums.count_entered, 0) as count_entered,
        coalesce(stage_sums.count_went_on, 0) as count_went_on,
        coalesce(stage_sums.count_lost, 0) as count_lost,
        coalesce(stage_sums.count_went_back, 0) as count_went_back,
        coalesce(stage_sums.count_went_on + stage_sums.count_lost, 0) as count_decided,
        coalesce(stage_sums.count_closed, 0) as count_closed,
        coalesce(stage_sums.count_won, 0) as count_won,
        {{ mean_of(
            'stage_sums.count_went_on', '(stage_sums.count_went_on + stage_sums.count_lost)'
        ) }} as conversion_rate,
        {{ mean_of('stage_sums.count_won', 'stage_sums.count_closed') }} as won_share,
        median_days.median_days_in_stage,
        windows.min_closed,
        cast(windows.interval_quantile as double) as interval_quantile,
        windows.window_from_on
    from member_sums
    cross join stage_order
    cross join windows
    left join stage_sums
        on
            member_sums.dimension = stage_sums.dimension
            and member_sums.member = stage_sums.member
            and stage_order.stage = stage_sums.stage
    left join median_days
        on
            member_sums.dimension = median_days.dimension
            and member_sums.member = median_days.member
            and stage_order.stage = median_days.stage
),

judged_stages as (
    select
        *,
        case
            when count_decided = 0 then 'not_seen'
            when count_decided < min_closed then 'too_few'
            else 'known'
        end as conversion_status
    from rated_stages
),

final as (
    select
        judged_stages.dimension,
        judged_stages.member,
        judged_stages.stage,
        code_labels.label_en as stage_label_en,
        code_labels.label_zh as stage_label_zh,
        cast(judged_stages.stage_place as integer) as stage_place,
        judged_stages.window_from_on,
        {{ as_of_date() }} as as_of,
        cast(judged_stages.count_entered as integer) as count_entered_12_months,
        cast(judged_stages.count_went_on as integer) as count_went_on_12_months,
        cast(judged_stages.count_lost as integer) as count_lost_12_months,
        cast(judged_stages.count_went_back as integer) as count_went_back_12_months,
        judged_stages.conversion_rate,
        {%- for name, sign in [('low', '-'), ('high', '+')] %}
            case
                when judged_stages.count_decided > 0
                    then {{ wilson_bound(
                        'judged_stages.conversion_rate', 'judged_stages.count_decided',
                        'judged_stages.interval_quantile', sign
                    ) }}
            end as conversion_rate_{{ name }},
        {%- endfor %}
        judged_stages.conversion_status,
        path_texts.label_en as conversion_status_label_en,
        path_texts.label_zh as conversion_status_label_zh,
        cast(judged_stages.count_closed as integer) as count_closed_12_months,
        judged_stages.won_share,
        cast(judged_stages.median_days_in_stage as integer) as median_days_in_stage,
        cast(judged_stages.count_closed_of_member as integer)
            as count_closed_of_member_12_months,
        cast(judged_stages.count_without_path as integer) as count_without_path_12_months
    from judged_stages
    left join code_labels on judged_stages.stage = code_labels.code
    left join path_texts on judged_stages.conversion_status = path_texts.code
)

select * from final
