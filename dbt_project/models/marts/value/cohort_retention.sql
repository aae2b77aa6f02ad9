with customer_months as (
    select
        customer_id,
        month_on,
        revenue_amount
    from {{ ref('fct_customer_months') }}
    where count_orders > 0
),

cohort_rules as (
    select * from {{ ref('cohort_rules') }}
    where {{ is_in_force() }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

-- the mean gap between the days it ordered on, of who has gaps enough to tell one
rhythms as (
    select
        customer_totals.customer_id,
        customer_totals.first_ordered_on,
        case
            when customer_totals.count_order_days > cohort_rules.opening_gaps_at_least
                then
                    {{ days_between(
                        'customer_totals.first_ordered_on', 'customer_totals.last_ordered_on'
                    ) }}
                    / cast(customer_totals.count_order_days - 1 as double)
        end as mean_gap_days
    from {{ ref('fct_customer_totals') }} as customer_totals
    cross join cohort_rules
),

-- what a customer's own rhythm does not tell, the middle one of those known does
book as (
    select
        min(rhythms.first_ordered_on) as first_ordered_on,
        median(rhythms.mean_gap_days) as mean_gap_days
    from rhythms
),

-- who was a customer before the books began: by its onboarding, or where that is unknown or later
-- than its first order, by a first order that may well follow one of before
openings as (
    select
        rhythms.customer_id,
        case
            when customers.onboarded_on <= rhythms.first_ordered_on
                then customers.onboarded_on < {{ month_start('book.first_ordered_on') }}
            else
                {{ days_between('book.first_ordered_on', 'rhythms.first_ordered_on') }}
                <= coalesce(
                    cohort_rules.opening_mean_gaps
                    * coalesce(rhythms.mean_gap_days, book.mean_gap_days),
                    cohort_rules.opening_days_otherwise
                )
        end as is_opening_cohort
    from rhythms
    cross join book
    cross join cohort_rules
    left join customers on rhythms.customer_id = customers.customer_id
),

buyers as (
    select
        customer_months.customer_id,
        openings.is_opening_cohort,
        min(customer_months.month_on) as cohort_on,
        max(customer_months.month_on) as last_month_on
    from customer_months
    inner join openings on customer_months.customer_id = openings.customer_id
    group by customer_months.customer_id, openings.is_opening_cohort
),

cohorts as (
    select
        cohort_on,
        is_opening_cohort,
        count(*) as count_customers
    from buyers
    group by cohort_on, is_opening_cohort
),

cohort_months as (
    select
        cohort_on,
        is_opening_cohort,
        count_customers,
        cast({{ explode_months('cohort_on', month_start(as_of_date())) }} as date) as month_on
    from cohorts
),

active_customers as (
    select
        buyers.cohort_on,
        buyers.is_opening_cohort,
        customer_months.month_on,
        count(*) as count_active,
        sum(customer_months.revenue_amount) as revenue_amount
    from customer_months
    inner join buyers on customer_months.customer_id = buyers.customer_id
    group by buyers.cohort_on, buyers.is_opening_cohort, customer_months.month_on
),

last_months as (
    select
        cohort_on,
        is_opening_cohort,
        last_month_on,
        count(*) as count_last_active
    from buyers
    group by cohort_on, is_opening_cohort, last_month_on
),

counted_months as (
    select
        cohort_months.cohort_on,
        cohort_months.month_on,
        cohort_months.count_customers,
        cohort_months.is_opening_cohort,
        {{ months_between('cohort_months.cohort_on', 'cohort_months.month_on') }} as months_since,
        {{ days_between('cohort_months.month_on', as_of_date()) }} as days_since,
        coalesce(active_customers.count_active, 0) as count_active,
        coalesce(active_customers.revenue_amount, 0) as revenue_amount,
        sum(coalesce(last_months.count_last_active, 0)) over (
            partition by cohort_months.cohort_on, cohort_months.is_opening_cohort
            order by cohort_months.month_on desc
            rows between unbounded preceding and current row
        ) as count_active_since
    from cohort_months
    left join active_customers
        on
            cohort_months.cohort_on = active_customers.cohort_on
            and cohort_months.is_opening_cohort = active_customers.is_opening_cohort
            and cohort_months.month_on = active_customers.month_on
    left join last_months
        on
            cohort_months.cohort_on = last_months.cohort_on
            and cohort_months.is_opening_cohort = last_months.is_opening_cohort
            and cohort_months.month_on = last_months.last_month_on
),

judged_months as (
    select
        counted_months.*,
        -- who has been silent for less may only be waiting for its next order
        counted_months.months_since = 0
        or counted_months.days_since >= cohort_rules.survival_known_after_days as is_survival_known
    from counted_months
    cross join cohort_rules
),

final as (
    select
        cohort_on,
        cast(months_since as integer) as months_since,
        month_on,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        {{ add_days(add_months('month_on', 1), -1) }} <= {{ as_of_date() }} as is_complete,
        is_opening_cohort,
        cast(count_customers as integer) as count_customers,
        cast(count_active as integer) as count_active,
        {{ mean_of('count_active', 'count_customers') }} as retention_rate,
        is_survival_known,
        case when is_survival_known then cast(count_active_since as integer) end
            as count_ever_active_since,
        case when is_survival_known then {{ mean_of('count_active_since', 'count_customers') }} end
            as survival_rate,
        cast(revenue_amount as decimal(18, 2)) as revenue_amount,
        -- decimals divide as doubles: six decimals bring an exact half back before it is rounded
        {{ to_amount('cast(revenue_amount / count_customers as decimal(28, 6))') }}
            as revenue_per_customer_amount
    from judged_months
)

select * from final
