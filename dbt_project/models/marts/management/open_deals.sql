-- What an open deal is worth by what became of the deals before it, by its age: of the deals still
-- open at this age, how many were won in the end. That counts every deal, also one of which no
-- stage was seen before it closed; what stages tell stands in stage_conversion.
with pipeline_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters', ['history_months', 'prior_deals', 'min_closed'], area='pipeline'
    ) }}
),

code_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'opportunity_stage' and {{ is_in_force() }}
),

statuses as (
    select
        code,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'calibration_status' and {{ is_in_force() }}
),

opportunities as (
    select
        *,
        coalesce(account_manager, '-') as manager,
        {{ days_between('opened_on', 'coalesce(closed_on, ' ~ as_of_date() ~ ')') }} as age_days
    from {{ ref('fct_opportunities') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

current_stages as (
    select * from {{ ref('opportunity_stages') }}
    where outcome = 'current'
),

entry_texts as (
    select
        code,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'stage_entry' and {{ is_in_force() }}
),

past_deals as (
    select opportunities.*
    from opportunities
    cross join pipeline_rules
    where
        opportunities.opened_on
        >= {{ add_months(as_of_date(), 'cast(-pipeline_rules.history_months as integer)') }}
),

deals_by_age as (
    select
        age_days,
        count(*) as count_deals,
        count(*) filter (where is_won) as count_won,
        count(*) filter (where closed_on is not null) as count_closed
    from past_deals
    group by age_days
),

at_risk as (
    select
        deals_by_age.*,
        sum(count_deals) over (
            order by age_days desc
            rows between unbounded preceding and current row
        ) as count_at_risk
    from deals_by_age
),

-- where all who are left close nobody is left: it is the last age of all
survival as (
    select
        age_days,
        count_won,
        count_at_risk,
        sum(
            {{ log_share_left_open() }}
        ) over (
            order by age_days
            rows between unbounded preceding and current row
        ) as log_open_share,
        sum(
            {{ log_share_left_open() }}
        ) over (
            order by age_days
            rows between unbounded preceding and 1 preceding
        ) as log_open_share_before
    from at_risk
),

-- Aalen and Johansen: the share that is won at an age is the share still open before it times the
-- chance of being won at it; deals still open count as long as they were watched
wins as (
    select
        age_days,
        exp(cast(coalesce(log_open_share, 0) as double)) as open_share,
        sum(
            cast(
                round(
                    exp(cast(coalesce(log_open_share_before, 0) as double))
                    * count_won / count_at_risk, 15
                ) as decimal(18, 15)
            )
        ) over (
            order by age_days desc
            rows between unbounded preceding and 1 preceding
        ) as won_later_share
    from survival
),

book as (
    select
        count(*) filter (where is_won) as count_won,
        count(*) filter (where closed_on is not null) as count_closed,
        cast(count(*) filter (where is_won) as double)
        / nullif(count(*) filter (where closed_on is not null), 0) as win_rate
    from past_deals
),

managers as (
    select
        manager,
        count(*) filter (where is_won) as count_won,
        count(*) filter (where closed_on is not null) as count_closed
    from past_deals
    group by manager
),

-- a manager's own rate counts for as much as it has deals beside the book's
manager_rates as (
    select
        managers.manager,
        book.win_rate as book_win_rate,
        book.count_closed as book_count_closed,
        managers.count_closed + pipeline_rules.prior_deals as weight_deals,
        (managers.count_won + pipeline_rules.prior_deals * book.win_rate)
        / cast(managers.count_closed + pipeline_rules.prior_deals as double) as win_rate
    from managers
    cross join book
    cross join pipeline_rules
),

aged_deals as (
    select
        opportunities.*,
        manager_rates.win_rate as manager_win_rate,
        manager_rates.book_win_rate,
        manager_rates.weight_deals,
        cast(coalesce(wins.won_later_share, 0) as double) / wins.open_share
            as book_probability,
        case
            when
                book.count_closed < pipeline_rules.min_closed
                or book.win_rate = 0
                or book.win_rate = 1
                then 'too_few'
            when wins.age_days is null then 'older_than_history'
            else 'known'
        end as calibration_status
    from opportunities
    cross join book
    cross join pipeline_rules
    left join manager_rates on opportunities.manager = manager_rates.manager
    left join wins
        on
            opportunities.age_days = wins.age_days
            and opportunities.opened_on
            >= {{ add_months(as_of_date(), 'cast(-pipeline_rules.history_months as integer)') }}
    where opportunities.closed_on is null
),

-- the manager's odds against the book's, on the odds of the age
calibrated_deals as (
    select
        aged_deals.*,
        case
            when calibration_status <> 'known' then null
            when book_probability >= 1 then 1
            else
                book_probability * manager_win_rate * (1 - book_win_rate)
                / (
                    book_probability * manager_win_rate * (1 - book_win_rate)
                    + (1 - book_probability) * (1 - manager_win_rate) * book_win_rate
                )
        end as calibrated_probability,
        case
            when calibration_status = 'known'
                then 1 / sqrt(
                    cast(weight_deals as double) * manager_win_rate * (1 - manager_win_rate)
                )
        end as log_odds_error
    from aged_deals
),

-- the stage of the as-of date; the fact has the latest one
staged_deals as (
    select
        calibrated_deals.*,
        coalesce(current_stages.stage, calibrated_deals.stage) as current_stage,
        current_stages.entered_on as stage_entered_on,
        current_stages.days_in_stage,
        coalesce(current_stages.entry_status, 'stage_unknown') as stage_entry_status
    from calibrated_deals
    left join current_stages on calibrated_deals.opportunity_id = current_stages.opportunity_id
),

final as (
    select
        staged_deals.opportunity_id,
        staged_deals.customer_id,
        customers.customer_name,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        staged_deals.manager as account_manager,
        staged_deals.current_stage as stage,
        code_labels.label_en as stage_label_en,
        code_labels.label_zh as stage_label_zh,
        staged_deals.stage_entered_on,
        staged_deals.days_in_stage,
        staged_deals.stage_entry_status,
        entry_texts.label_en as stage_entry_status_label_en,
        entry_texts.label_zh as stage_entry_status_label_zh,
        staged_deals.opened_on,
        staged_deals.expected_on,
        cast(staged_deals.age_days as integer) as age_days,
        coalesce(staged_deals.expected_on < {{ as_of_date() }}, false) as is_overdue,
        case
            when staged_deals.expected_on < {{ as_of_date() }}
                then cast(
                    {{ days_between('staged_deals.expected_on', as_of_date()) }} as integer
                )
        end as overdue_days,
        -- what should have come by now is expected from now on
        {{ month_start(
            'greatest(coalesce(staged_deals.expected_on, ' ~ as_of_date() ~ '), ' ~ as_of_date() ~ ')'
        ) }}
            as expected_month_on,
        staged_deals.opportunity_amount,
        cast(staged_deals.win_probability as double) as stated_probability,
        staged_deals.calibrated_probability,
        staged_deals.log_odds_error,
        {{ amount_times('staged_deals.opportunity_amount', 'staged_deals.win_probability') }}
            as stated_amount,
        cast(
            cast(staged_deals.opportunity_amount as double)
            * staged_deals.calibrated_probability as decimal(18, 2)
        ) as calibrated_amount,
        staged_deals.calibration_status,
        statuses.label_en as calibration_status_label_en,
        statuses.label_zh as calibration_status_label_zh
    from staged_deals
    left join customers on staged_deals.customer_id = customers.customer_id
    left join code_labels on staged_deals.current_stage = code_labels.code
    left join entry_texts on staged_deals.stage_entry_status = entry_texts.code
    left join statuses on staged_deals.calibration_status = statuses.code
)

select * from final
