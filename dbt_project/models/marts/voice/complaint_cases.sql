{#- The columns are named after it. -#}
{%- set revenue_days = 90 -%}
{%- set parameter_names = ['repeat_days', 'win_back_rate', 'survey_days'] -%}

with complaints as (
    select * from {{ ref('fct_complaints') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

code_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'complaint_severity' and {{ is_in_force() }}
),

voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

parameters as (
    select * from {{ parameters_in_force('voice_parameters', parameter_names) }}
),

sla as (
    select
        code as severity,
        max(case when parameter = 'answer_hours' then value end) as answer_hours,
        max(case when parameter = 'resolve_days' then value end) as resolve_days
    from {{ ref('voice_parameters') }}
    where parameter in ('answer_hours', 'resolve_days') and {{ is_in_force() }}
    group by code
),

orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled
),

invoices as (
    select * from {{ ref('fct_invoices') }}
),

-- what was ordered, and on a day of its own what was credited of it
sale_days as (
    select
        customer_id,
        ordered_on as sold_on,
        ordered_on,
        sum(revenue_amount) as net_revenue_amount
    from orders
    group by customer_id, ordered_on
    union all
    select
        invoices.customer_id,
        invoices.invoiced_on as sold_on,
        coalesce(orders.ordered_on, invoices.invoiced_on) as ordered_on,
        sum(invoices.invoice_amount - coalesce(invoices.tax_amount, 0)) as net_revenue_amount
    from invoices
    left join orders on invoices.order_id = orders.order_id
    where invoices.kind = 'credit_note'
    group by
        invoices.customer_id,
        invoices.invoiced_on,
        coalesce(orders.ordered_on, invoices.invoiced_on)
),

-- business days are numbered on, a day off has the number of the one before
business_days as (
    select
        date_on,
        is_business_day,
        sum(case when is_business_day then 1 else 0 end) over (
            order by date_on rows between unbounded preceding and current row
        ) as day_no
    from {{ ref('dim_dates') }}
),

as_of_day as (
    select max(day_no) as day_no
    from business_days
    where date_on <= {{ as_of_date() }}
),

late_orders as (
    select
        order_id,
        min(delivered_on) as late_on
    from {{ ref('fct_deliveries') }}
    where days_late > 0
    group by order_id
),

-- the dispute has no day in the feed; a credit note of later days is what the complaint led to
disputed_orders as (
    select
        order_id,
        count(*) filter (where is_disputed) > 0 as is_disputed,
        min(invoiced_on) filter (where kind = 'credit_note') as credited_on
    from invoices
    where is_disputed or kind = 'credit_note'
    group by order_id
),

order_categories as (
    select
        order_lines.order_id,
        products.category,
        row_number() over (
            partition by order_lines.order_id
            order by sum(order_lines.revenue_amount) desc, products.category asc
        ) as place
    from {{ ref('fct_order_lines') }} as order_lines
    inner join {{ ref('dim_products') }} as products
        on order_lines.product_id = products.product_id
    where products.category is not null
    group by order_lines.order_id, products.category
),

-- one satisfaction a day and customer: the mean of its answers
survey_days as (
    select
        customer_id,
        answered_on,
        {{ mean_of('sum(score_rate)', 'count(score_rate)') }} as score_rate
    from {{ ref('fct_survey_responses') }}
    where measure = 'csat' and score_rate is not null
    group by customer_id, answered_on
),

earlier_complaints as (
    select
        complaints.complaint_id,
        count(earlier.complaint_id) as count_before,
        max(earlier.opened_on) as previous_opened_on
    from complaints
    cross join parameters
    inner join complaints as earlier
        on
            complaints.customer_id = earlier.customer_id
            and complaints.category = earlier.category
            and (
                complaints.opened_at > earlier.opened_at
                or (
                    complaints.opened_at = earlier.opened_at
                    and complaints.complaint_id > earlier.complaint_id
                )
            )
            and {{ days_between('earlier.opened_on', 'complaints.opened_on') }}
            <= parameters.repeat_days
    group by complaints.complaint_id
),

-- a credit note that settles what was complained of takes nothing off what is bought from then on
revenues as (
    select
        complaints.complaint_id,
        sum(sale_days.net_revenue_amount) filter (
            where sale_days.sold_on < complaints.opened_on
        ) as before_amount,
        sum(sale_days.net_revenue_amount) filter (
            where sale_days.ordered_on >= complaints.opened_on
        ) as after_amount
    from complaints
    inner join sale_days
        on
            complaints.customer_id = sale_days.customer_id
            and {{ days_between('complaints.opened_on', 'sale_days.sold_on') }}
            between {{ -revenue_days }} and {{ revenue_days - 1 }}
    group by complaints.complaint_id
),

surveys_before as (
    select
        complaints.complaint_id,
        survey_days.score_rate,
        row_number() over (
            partition by complaints.complaint_id order by survey_days.answered_on desc
        ) as place
    from complaints
    cross join parameters
    inner join survey_days
        on
            complaints.customer_id = survey_days.customer_id
            and {{ days_between('survey_days.answered_on', 'complaints.opened_on') }}
            between 1 and parameters.survey_days
),

surveys_after as (
    select
        complaints.complaint_id,
        survey_days.score_rate,
        row_number() over (
            partition by complaints.complaint_id order by survey_days.answered_on asc
        ) as place
    from complaints
    cross join parameters
    inner join survey_days
        on
            complaints.customer_id = survey_days.customer_id
            and {{ days_between('complaints.resolved_on', 'survey_days.answered_on') }}
            between 1 and parameters.survey_days
),

numbered_complaints as (
    select
        complaints.*,
        sla.answer_hours,
        sla.resolve_days,
        parameters.win_back_rate,
        cast(complaints.responded_at as date) as responded_on,
        -- an answer before the complaint is a mistake of the source, not a quick answer
        coalesce(complaints.responded_at >= complaints.opened_at, false) as is_answered,
        opened_days.day_no as opened_no,
        resolved_days.day_no as resolved_no,
        answered_days.day_no as answered_before_no,
        as_of_day.day_no as as_of_no,
        opened_days.day_no + sla.resolve_days as due_no,
        -- the first business day on which a complaint that waits has waited longer
        opened_days.day_no + floor(sla.answer_hours / 24) + 1 as answer_late_no
    from complaints
    cross join parameters
    cross join as_of_day
    left join sla on complaints.severity = sla.severity
    left join business_days as opened_days on complaints.opened_on = opened_days.date_on
    left join business_days as resolved_days on complaints.resolved_on = resolved_days.date_on
    left join business_days as answered_days
        on {{ add_days('cast(complaints.responded_at as date)', -1) }} = answered_days.date_on
),

timed_complaints as (
    select
        *,
        case
            when is_answered
                then
                    {{ seconds_between('opened_at', 'responded_at') }} / 3600.0
                    -- days off that lie whole between the two
                    - 24.0 * greatest(
                        {{ days_between('opened_on', 'responded_on') }} - 1
                        - (answered_before_no - opened_no),
                        0
                    )
        end as hours_to_answer,
        -- a complaint that waits has waited at least the business days after its own
        case when not is_answered and is_open then 24.0 * (as_of_no - opened_no) end
            as hours_waited,
        resolved_no - opened_no as days_to_resolve,
        case when is_open then as_of_no - opened_no end as days_open
    from numbered_complaints
),

judged_complaints as (
    select
        timed_complaints.*,
        due_days.date_on as resolve_due_on,
        answer_days.date_on as answer_late_on,
        case
            when timed_complaints.is_answered then 'answered'
            when timed_complaints.is_open then 'waiting'
            else 'not_recorded'
        end as answer_status,
        case
            when timed_complaints.answer_hours is null then 'no_sla'
            when timed_complaints.is_answered
                then
                    case
                        when timed_complaints.hours_to_answer > timed_complaints.answer_hours
                            then 'breached'
                        else 'kept'
                    end
            when not timed_complaints.is_open then 'no_sla'
            when timed_complaints.hours_waited > timed_complaints.answer_hours then 'breached'
            else 'running'
        end as answer_sla_status,
        case
            when timed_complaints.resolve_days is null then 'no_sla'
            when
                coalesce(timed_complaints.days_to_resolve, timed_complaints.days_open)
                > timed_complaints.resolve_days
                then 'breached'
            when timed_complaints.is_open then 'running'
            else 'kept'
        end as resolve_sla_status
    from timed_complaints
    left join business_days as due_days
        on timed_complaints.due_no = due_days.day_no and due_days.is_business_day
    left join business_days as answer_days
        on timed_complaints.answer_late_no = answer_days.day_no and answer_days.is_business_day
),

joined_complaints as (
    select
        judged_complaints.*,
        customers.account_manager,
        coalesce(earlier_complaints.count_before, 0) > 0 as is_repeat,
        earlier_complaints.previous_opened_on,
        coalesce(
            order_categories.category, customer_categories.product_category
        ) as product_category,
        case
            when late_orders.late_on <= judged_complaints.opened_on then 'late_delivery'
            when
                disputed_orders.is_disputed
                or disputed_orders.credited_on <= judged_complaints.opened_on
                then 'disputed_invoice'
            when earlier_complaints.count_before > 0 then 'repeat_unsolved'
            else 'not_in_the_books'
        end as root_cause,
        case
            when {{ has_feed('orders') }} or {{ has_feed('invoices') }}
                then coalesce(revenues.before_amount, 0)
        end as revenue_before_amount,
        {{ add_days('judged_complaints.opened_on', revenue_days) }}
        <= {{ as_of_date() }} as is_window_over,
        case
            when {{ has_feed('orders') }} or {{ has_feed('invoices') }}
                then coalesce(revenues.after_amount, 0)
        end as revenue_so_far_amount,
        surveys_before.score_rate as csat_before_rate,
        surveys_after.score_rate as csat_after_rate
    from judged_complaints
    left join customers on judged_complaints.customer_id = customers.customer_id
    left join earlier_complaints
        on judged_complaints.complaint_id = earlier_complaints.complaint_id
    left join revenues on judged_complaints.complaint_id = revenues.complaint_id
    left join late_orders on judged_complaints.order_id = late_orders.order_id
    left join disputed_orders on judged_complaints.order_id = disputed_orders.order_id
    left join order_categories
        on judged_complaints.order_id = order_categories.order_id and order_categories.place = 1
    left join {{ ref('int_customer_categories') }} as customer_categories
        on
            judged_complaints.customer_id = customer_categories.customer_id
            and {{ month_start('judged_complaints.opened_on') }} = customer_categories.month_on
    left join surveys_before
        on judged_complaints.complaint_id = surveys_before.complaint_id and surveys_before.place = 1
    left join surveys_after
        on judged_complaints.complaint_id = surveys_after.complaint_id and surveys_after.place = 1
),

won_back_complaints as (
    select
        *,
        case when is_window_over then revenue_so_far_amount end as revenue_after_amount,
        case
            when revenue_before_amount is null then 'no_order_feed'
            when revenue_before_amount <= 0 then 'no_revenue_before'
            when not is_window_over then 'too_early'
            when revenue_so_far_amount >= win_back_rate * revenue_before_amount then 'won_back'
            else 'not_won_back'
        end as win_back_status
    from joined_complaints
),

final as (
    select
        won_back_complaints.complaint_id,
        won_back_complaints.customer_id,
        won_back_complaints.order_id,
        won_back_complaints.account_manager,
        won_back_complaints.product_category,
        won_back_complaints.category,
        {%- for language in ['en', 'zh'] %}
            coalesce(
                category_texts.label_{{ language }}, won_back_complaints.category,
                unknown_texts.label_{{ language }}
            ) as category_label_{{ language }},
        {%- endfor %}
        won_back_complaints.severity,
        code_labels.label_en as severity_label_en,
        code_labels.label_zh as severity_label_zh,
        won_back_complaints.opened_at,
        won_back_complaints.opened_on,
        won_back_complaints.responded_at,
        won_back_complaints.resolved_on,
        won_back_complaints.is_open,
        won_back_complaints.answer_status,
        cast(won_back_complaints.answer_hours as double) as answer_sla_hours,
        cast(won_back_complaints.hours_to_answer as double) as hours_to_answer,
        won_back_complaints.answer_sla_status,
        won_back_complaints.answer_late_on,
        cast(won_back_complaints.resolve_days as integer) as resolve_sla_days,
        won_back_complaints.resolve_due_on as sla_due_on,
        cast(won_back_complaints.days_to_resolve as integer) as days_to_resolve,
        cast(won_back_complaints.days_open as integer) as days_open,
        won_back_complaints.resolve_sla_status,
        won_back_complaints.answer_sla_status = 'breached'
        or won_back_complaints.resolve_sla_status = 'breached' as is_breached,
        -- an answer that came too late waits no more
        won_back_complaints.is_open
        and (
            won_back_complaints.resolve_sla_status = 'breached'
            or (
                won_back_complaints.answer_sla_status = 'breached'
                and won_back_complaints.answer_status = 'waiting'
            )
        ) as is_late,
        won_back_complaints.is_reopened,
        won_back_complaints.is_repeat,
        won_back_complaints.previous_opened_on,
        won_back_complaints.root_cause,
        cause_texts.label_en as root_cause_label_en,
        cause_texts.label_zh as root_cause_label_zh,
        won_back_complaints.resolution,
        won_back_complaints.is_satisfied,
        won_back_complaints.csat_before_rate,
        won_back_complaints.csat_after_rate,
        won_back_complaints.currency,
        won_back_complaints.compensation_amount,
        cast(won_back_complaints.revenue_before_amount as decimal(18, 2))
            as revenue_90_days_before_amount,
        cast(won_back_complaints.revenue_after_amount as decimal(18, 2))
            as revenue_90_days_after_amount,
        won_back_complaints.win_back_status,
        win_back_texts.label_en as win_back_label_en,
        win_back_texts.label_zh as win_back_label_zh
    from won_back_complaints
    left join code_labels on won_back_complaints.severity = code_labels.code
    left join voice_texts as category_texts
        on
            won_back_complaints.category = category_texts.code
            and category_texts.area = 'complaint_category'
    left join voice_texts as unknown_texts
        on unknown_texts.area = 'member' and unknown_texts.code = 'none'
    left join voice_texts as cause_texts
        on
            won_back_complaints.root_cause = cause_texts.code
            and cause_texts.area = 'root_cause'
    left join voice_texts as win_back_texts
        on
            won_back_complaints.win_back_status = win_back_texts.code
            and win_back_texts.area = 'win_back_status'
)

select * from final
