-- What a campaign moved, by difference-in-differences: the change of the customers it reached from
-- their own time before, less the change of like customers that it did not reach. "Like" is a
-- stratum: with or without orders under contract before, by third of revenue before. Orders under
-- contract are agreed beforehand and count only for the stratum and for staying.
with campaign_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters',
        [
            'before_days', 'min_before_days', 'effect_days', 'response_days', 'retention_days',
            'revenue_strata', 'min_customers', 'max_contact_span_days', 'interval_quantile',
            'verdict_quantile',
        ],
        area='campaign',
    ) }}
),

measures as (
    select
        code as measure,
        place as measure_order,
        kind as unit,
        is_headline as is_primary,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'campaign_measure' and {{ is_in_force() }}
),

statuses as (
    select
        code as effect_status,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area = 'campaign_effect_status' and {{ is_in_force() }}
),

contacts as (
    select
        campaign_id,
        customer_id,
        min(occurred_on) as contacted_on
    from {{ ref('fct_interactions') }}
    where campaign_id is not null
    group by campaign_id, customer_id
),

orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled
),

order_lines as (
    select * from {{ ref('fct_order_lines') }}
    where not is_cancelled
),

first_contacts as (
    select
        campaign_id,
        min(contacted_on) as first_contact_on,
        max(contacted_on) as last_contact_on
    from contacts
    group by campaign_id
),

-- who was not reached is looked at from the mean day of those who were
campaigns as (
    select
        contacts.campaign_id,
        first_contacts.first_contact_on,
        first_contacts.last_contact_on,
        {{ add_days(
            'first_contacts.first_contact_on',
            'floor(sum(' ~ days_between('first_contacts.first_contact_on', 'contacts.contacted_on')
            ~ ') / count(*))',
        ) }} as middle_contact_on
    from contacts
    inner join first_contacts on contacts.campaign_id = first_contacts.campaign_id
    group by
        contacts.campaign_id,
        first_contacts.first_contact_on,
        first_contacts.last_contact_on
),

-- one row per product of an order; an order without lines is a product of its own
sold_lines as (
    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_on,
        coalesce(orders.sale_type, '') = 'contract' as is_under_contract,
        coalesce(order_lines.product_id, '') as product_id,
        case
            when order_lines.order_id is null then orders.revenue_amount
            else order_lines.revenue_amount
        end as revenue_amount,
        case
            when order_lines.order_id is null then orders.margin_amount
            else order_lines.margin_amount
        end as margin_amount
    from orders
    left join order_lines on orders.order_id = order_lines.order_id
),

buyers as (
    select
        customer_id,
        min(ordered_on) as first_ordered_on
    from orders
    group by customer_id
),

books as (
    select min(first_ordered_on) as begin_on
    from buyers
),

participants as (
    select
        campaigns.campaign_id,
        buyers.customer_id,
        contacts.customer_id is not null as is_reached,
        coalesce(contacts.contacted_on, campaigns.middle_contact_on) as contacted_on
    from campaigns
    inner join buyers on campaigns.last_contact_on > buyers.first_ordered_on
    left join contacts
        on
            campaigns.campaign_id = contacts.campaign_id
            and buyers.customer_id = contacts.customer_id
),

participant_lines as (
    select
        participants.campaign_id,
        participants.customer_id,
        participants.is_reached,
        participants.contacted_on,
        sold_lines.order_id,
        sold_lines.product_id,
        sold_lines.revenue_amount,
        sold_lines.margin_amount,
        sold_lines.is_under_contract,
        sold_lines.ordered_on,
        {{ days_between('participants.contacted_on', 'sold_lines.ordered_on') }} as days_since
    from participants
    cross join campaign_rules
    inner join sold_lines
        on
            participants.customer_id = sold_lines.customer_id
            and sold_lines.ordered_on
            >= {{ add_days('participants.contacted_on', '-campaign_rules.before_days') }}
            and sold_lines.ordered_on <= {{ add_days(
                'participants.contacted_on',
                'campaign_rules.effect_days + campaign_rules.retention_days',
            ) }}
),

-- the day of the contact tells nothing: the order may have come before it
placed_lines as (
    select
        participant_lines.*,
        participant_lines.days_since < 0 as is_before,
        participant_lines.days_since between 1 and campaign_rules.effect_days as is_after,
        participant_lines.days_since between 1 and campaign_rules.response_days as is_response,
        participant_lines.days_since > campaign_rules.effect_days as is_later
    from participant_lines
    cross join campaign_rules
    where participant_lines.days_since <> 0
),

-- an order that another campaign may have moved counts on neither side
moved_orders as (
    select distinct
        placed_lines.campaign_id,
        placed_lines.order_id
    from placed_lines
    inner join contacts
        on
            placed_lines.customer_id = contacts.customer_id
            and placed_lines.campaign_id <> contacts.campaign_id
            and placed_lines.ordered_on > contacts.contacted_on
    cross join campaign_rules
    where
        {{ days_between('contacts.contacted_on', 'placed_lines.ordered_on') }}
        <= campaign_rules.effect_days
),

counted_lines as (
    select
        placed_lines.*,
        not placed_lines.is_under_contract and moved_orders.order_id is null as is_counted,
        -- to nine decimals: their sums are the same in any order
        case
            when placed_lines.revenue_amount > 0
                then cast(
                    round(ln(cast(placed_lines.revenue_amount as double)), 9) as decimal(18, 9)
                )
        end as log_revenue,
        case
            when placed_lines.revenue_amount > 0
                then cast(
                    round(
                        cast(placed_lines.margin_amount as double)
                        / cast(placed_lines.revenue_amount as double), 9
                    ) as decimal(18, 9)
                )
        end as margin_rate
    from placed_lines
    left join moved_orders
        on
            placed_lines.campaign_id = moved_orders.campaign_id
            and placed_lines.order_id = moved_orders.order_id
),

customer_sums as (
    select
        campaign_id,
        customer_id,
        is_reached,
        contacted_on,
        count(distinct case when is_counted and is_before then order_id end) as orders_before,
        count(distinct case when is_counted and is_after then order_id end) as orders_after,
        {{ sum_amount('case when is_counted and is_before then revenue_amount end') }}
            as revenue_before_amount,
        {{ sum_amount('case when is_counted and is_after then revenue_amount end') }}
            as revenue_after_amount,
        {{ sum_amount('case when is_counted and is_after and margin_amount is not null '
            ~ 'then revenue_amount end') }} as costed_revenue_after_amount,
        {{ sum_amount('case when is_counted and is_after then margin_amount end') }}
            as margin_after_amount,
        max(case when is_before and is_under_contract then 1 else 0 end) as has_contract,
        max(case when is_counted and is_response then 1 else 0 end) as has_response,
        max(case when is_later then 1 else 0 end) as has_order_later
    from counted_lines
    group by campaign_id, customer_id, is_reached, contacted_on
),

strata as (
    select
        customer_sums.*,
        -- how much shorter the time after is than the time before, as far as the books reach back
        campaign_rules.effect_days / cast(
            least(
                campaign_rules.before_days,
                {{ days_between('books.begin_on', 'customer_sums.contacted_on') }}
            ) as double
        ) as days_share,
        campaign_rules.revenue_strata * customer_sums.has_contract + ceil(
            campaign_rules.revenue_strata
            * row_number()
                over (
                    partition by customer_sums.campaign_id
                    order by customer_sums.revenue_before_amount, customer_sums.customer_id
                )
            / count(*) over (partition by customer_sums.campaign_id)
        ) as stratum
    from customer_sums
    cross join campaign_rules
    cross join books
    -- who bought nothing before has no time of its own to compare with
    where customer_sums.orders_before > 0
),

-- the same product of the same customer before and after: what else an order held is no matter
product_sums as (
    select
        campaign_id,
        customer_id,
        product_id,
        count(log_revenue) filter (where is_before) as lines_before,
        count(log_revenue) filter (where is_after) as lines_after,
        sum(log_revenue) filter (where is_before) as log_revenue_before,
        sum(log_revenue) filter (where is_after) as log_revenue_after,
        count(margin_rate) filter (where is_before) as margins_before,
        count(margin_rate) filter (where is_after) as margins_after,
        sum(margin_rate) filter (where is_before) as margin_rate_before,
        sum(margin_rate) filter (where is_after) as margin_rate_after
    from counted_lines
    where is_counted
    group by campaign_id, customer_id, product_id
),

-- the weight by which n and m values tell the difference of their means best
product_changes as (
    select
        campaign_id,
        customer_id,
        cast(lines_before * lines_after as double) / nullif(lines_before + lines_after, 0)
            as line_weight,
        {{ mean_of('log_revenue_after', 'lines_after') }}
        - {{ mean_of('log_revenue_before', 'lines_before') }} as log_revenue_change,
        cast(margins_before * margins_after as double) / nullif(margins_before + margins_after, 0)
            as margin_weight,
        {{ mean_of('margin_rate_after', 'margins_after') }}
        - {{ mean_of('margin_rate_before', 'margins_before') }} as margin_rate_change
    from product_sums
),

customer_changes as (
    select
        campaign_id,
        customer_id,
        sum(cast(line_weight as decimal(18, 9))) as line_weight,
        sum(cast(line_weight * log_revenue_change as decimal(28, 9))) as log_revenue_change,
        sum(cast(margin_weight as decimal(18, 9))) as margin_weight,
        sum(cast(margin_weight * margin_rate_change as decimal(28, 9))) as margin_rate_change
    from product_changes
    group by campaign_id, customer_id
),

observations as (
    select
        strata.campaign_id,
        'line_value' as measure,
        strata.customer_id,
        strata.is_reached,
        strata.stratum,
        cast(customer_changes.line_weight as double) as weight,
        cast(customer_changes.log_revenue_change as double)
        / customer_changes.line_weight as value_change
    from strata
    inner join customer_changes
        on
            strata.campaign_id = customer_changes.campaign_id
            and strata.customer_id = customer_changes.customer_id
    where customer_changes.line_weight > 0
    union all
    select
        strata.campaign_id,
        'margin_rate' as measure,
        strata.customer_id,
        strata.is_reached,
        strata.stratum,
        cast(customer_changes.margin_weight as double) as weight,
        cast(customer_changes.margin_rate_change as double) / customer_changes.margin_weight
            as value_change
    from strata
    inner join customer_changes
        on
            strata.campaign_id = customer_changes.campaign_id
            and strata.customer_id = customer_changes.customer_id
    where customer_changes.margin_weight > 0
    union all
    select
        strata.campaign_id,
        'order_frequency' as measure,
        strata.customer_id,
        strata.is_reached,
        strata.stratum,
        1 as weight,
        strata.orders_after - strata.orders_before * strata.days_share as value_change
    from strata
    union all
    select
        strata.campaign_id,
        'revenue' as measure,
        strata.customer_id,
        strata.is_reached,
        strata.stratum,
        1 as weight,
        cast(strata.revenue_after_amount as double)
        - cast(strata.revenue_before_amount as double) * strata.days_share as value_change
    from strata
    union all
    select
        campaign_id,
        'response_rate' as measure,
        customer_id,
        is_reached,
        stratum,
        1 as weight,
        has_response as value_change
    from strata
    union all
    select
        campaign_id,
        'retention_rate' as measure,
        customer_id,
        is_reached,
        stratum,
        1 as weight,
        has_order_later as value_change
    from strata
),

arms as (
    select
        campaign_id,
        measure,
        stratum,
        is_reached,
        count(*) as count_customers,
        sum(cast(weight as decimal(28, 9))) as weight,
        cast(sum(cast(weight * value_change as decimal(38, 9))) as double)
        / cast(sum(cast(weight as decimal(28, 9))) as double) as mean_change
    from observations
    group by campaign_id, measure, stratum, is_reached
),

-- a mean of one customer has no spread: such a stratum is left out
compared_strata as (
    select
        reached.campaign_id,
        reached.measure,
        reached.stratum,
        reached.count_customers as count_reached,
        control.count_customers as count_control,
        reached.mean_change as reached_change,
        control.mean_change as control_change,
        cast(reached.weight as double) as reached_weight,
        cast(control.weight as double) as control_weight
    from arms as reached
    inner join arms as control
        on
            reached.campaign_id = control.campaign_id
            and reached.measure = control.measure
            and reached.stratum = control.stratum
    where
        reached.is_reached
        and not control.is_reached
        and reached.count_customers > 1
        and control.count_customers > 1
),

estimates as (
    select
        campaign_id,
        measure,
        sum(count_reached) as count_reached,
        sum(count_control) as count_control,
        count(*) as count_strata,
        cast(sum(cast(reached_weight * reached_change as decimal(38, 9))) as double)
        / cast(sum(cast(reached_weight as decimal(28, 9))) as double) as reached_change,
        cast(sum(cast(reached_weight * control_change as decimal(38, 9))) as double)
        / cast(sum(cast(reached_weight as decimal(28, 9))) as double) as control_change,
        cast(sum(cast(reached_weight as decimal(28, 9))) as double) as total_weight
    from compared_strata
    group by campaign_id, measure
),

-- each customer is one draw, whatever it ordered; controls weigh as much as who they stand for
squared_deviations as (
    select
        observations.campaign_id,
        observations.measure,
        case
            when observations.is_reached
                then
                    power(
                        observations.weight
                        * (observations.value_change - compared_strata.reached_change), 2
                    )
                    * compared_strata.count_reached / (compared_strata.count_reached - 1)
            else
                power(
                    observations.weight
                    * compared_strata.reached_weight / compared_strata.control_weight
                    * (observations.value_change - compared_strata.control_change), 2
                )
                * compared_strata.count_control / (compared_strata.count_control - 1)
        end as squared_deviation
    from observations
    inner join compared_strata
        on
            observations.campaign_id = compared_strata.campaign_id
            and observations.measure = compared_strata.measure
            and observations.stratum = compared_strata.stratum
),

variances as (
    select
        campaign_id,
        measure,
        sum(cast(squared_deviation as decimal(38, 12))) as sum_of_squares
    from squared_deviations
    group by campaign_id, measure
),

-- what the customers reached bought while the campaign may have worked
reached_sales as (
    select
        observations.campaign_id,
        observations.measure,
        sum(strata.revenue_after_amount) as revenue_after_amount,
        sum(strata.costed_revenue_after_amount) as costed_revenue_after_amount,
        sum(strata.margin_after_amount) as margin_after_amount
    from observations
    inner join compared_strata
        on
            observations.campaign_id = compared_strata.campaign_id
            and observations.measure = compared_strata.measure
            and observations.stratum = compared_strata.stratum
    inner join strata
        on
            observations.campaign_id = strata.campaign_id
            and observations.customer_id = strata.customer_id
    where observations.is_reached
    group by observations.campaign_id, observations.measure
),

judged_effects as (
    select
        campaigns.campaign_id,
        campaigns.first_contact_on,
        campaigns.last_contact_on,
        measures.measure,
        measures.measure_order,
        measures.unit,
        measures.is_primary,
        measures.label_en as measure_label_en,
        measures.label_zh as measure_label_zh,
        coalesce(estimates.count_reached, 0) as count_reached,
        coalesce(estimates.count_control, 0) as count_control,
        coalesce(estimates.count_strata, 0) as count_strata,
        estimates.reached_change,
        estimates.control_change,
        estimates.reached_change - estimates.control_change as effect,
        sqrt(cast(variances.sum_of_squares as double)) / estimates.total_weight as standard_error,
        reached_sales.revenue_after_amount,
        reached_sales.costed_revenue_after_amount,
        reached_sales.margin_after_amount,
        campaign_rules.interval_quantile,
        campaign_rules.verdict_quantile,
        case
            when
                {{ add_days(
                    'campaigns.last_contact_on',
                    "case measures.measure when 'response_rate' then campaign_rules.response_days "
                    ~ "when 'retention_rate' "
                    ~ 'then campaign_rules.effect_days + campaign_rules.retention_days '
                    ~ 'else campaign_rules.effect_days end',
                ) }} > {{ as_of_date() }}
                then 'window_open'
            when
                {{ days_between('campaigns.first_contact_on', 'campaigns.last_contact_on') }}
                > campaign_rules.max_contact_span_days
                then 'too_spread'
            when
                {{ days_between('books.begin_on', 'campaigns.first_contact_on') }}
                < campaign_rules.min_before_days
                then 'short_before'
            when
                least(
                    coalesce(estimates.count_reached, 0), coalesce(estimates.count_control, 0)
                ) < campaign_rules.min_customers
                then 'too_few'
            else 'known'
        end as effect_status
    from campaigns
    cross join campaign_rules
    cross join books
    cross join measures
    left join estimates
        on
            campaigns.campaign_id = estimates.campaign_id
            and measures.measure = estimates.measure
    left join variances
        on
            campaigns.campaign_id = variances.campaign_id
            and measures.measure = variances.measure
    left join reached_sales
        on
            campaigns.campaign_id = reached_sales.campaign_id
            and measures.measure = reached_sales.measure
),

-- what is not known yet, or of too few, is not told
known_effects as (
    select
        judged_effects.*,
        case when effect_status = 'known' then effect end as known_effect,
        case when effect_status = 'known' then standard_error end as known_error,
        -- customers who all changed alike say nothing of how others would have
        case when effect_status = 'known' then nullif(standard_error, 0) end as spread
    from judged_effects
),

final as (
    select
        known_effects.campaign_id,
        known_effects.measure,
        {{ as_of_date() }} as as_of,
        known_effects.first_contact_on,
        known_effects.last_contact_on,
        cast(known_effects.measure_order as integer) as measure_order,
        known_effects.measure_label_en,
        known_effects.measure_label_zh,
        known_effects.unit,
        known_effects.is_primary,
        cast(known_effects.count_reached as integer) as count_reached,
        cast(known_effects.count_control as integer) as count_control,
        cast(known_effects.count_strata as integer) as count_strata,
        case when known_effects.effect_status = 'known' then known_effects.reached_change end
            as reached_change,
        case when known_effects.effect_status = 'known' then known_effects.control_change end
            as control_change,
        known_effects.known_effect as effect,
        known_effects.known_error as standard_error,
        known_effects.known_effect - known_effects.interval_quantile * known_effects.spread
            as effect_low,
        known_effects.known_effect + known_effects.interval_quantile * known_effects.spread
            as effect_high,
        case
            when known_effects.effect_status = 'known'
                then
                    coalesce(
                        abs(known_effects.known_effect)
                        > known_effects.verdict_quantile * known_effects.spread,
                        false
                    )
        end as is_found,
        {{ reporting_currency() }} as currency,
        cast(known_effects.revenue_after_amount as decimal(18, 2)) as revenue_after_amount,
        cast(
            case
                when known_effects.costed_revenue_after_amount > 0
                    then known_effects.margin_after_amount
            end as decimal(18, 2)
        ) as margin_after_amount,
        case
            when known_effects.costed_revenue_after_amount > 0
                then
                    cast(known_effects.margin_after_amount as double)
                    / cast(known_effects.costed_revenue_after_amount as double)
        end as margin_after_rate,
        known_effects.effect_status,
        statuses.label_en as effect_status_label_en,
        statuses.label_zh as effect_status_label_zh
    from known_effects
    left join statuses on known_effects.effect_status = statuses.effect_status
)

select * from final
