with customer_provisions as (
    select * from {{ ref('int_customer_provisions') }}
),

-- from a rate of all it owes to the group's, or back, or to another one: a review, no ageing
steps as (
    select
        *,
        was_specific or is_specific as is_reviewed
    from customer_provisions
),

movements as (
    select
        month_on,
        month_end_on,
        count(*) filter (where gross_closing_amount > 0) as count_customers,
        count(*) filter (where is_specific and gross_closing_amount > 0)
            as count_specific_customers,
        sum(gross_opening_amount) as gross_opening_amount,
        sum(gross_new_amount) as gross_new_amount,
        sum(gross_reopened_amount) as gross_reopened_amount,
        -sum(gross_paid_amount) as gross_paid_amount,
        -sum(gross_credited_amount) as gross_credited_amount,
        -sum(gross_written_off_amount) as gross_written_off_amount,
        sum(gross_closing_amount) as gross_closing_amount,
        sum(opening_provision_amount) as opening_amount,
        sum(new_step - reopened_step) as new_amount,
        sum(reopened_step - aged_step) as reopened_amount,
        sum(paid_step - credited_step) as paid_amount,
        sum(credited_step - written_off_step) as credited_amount,
        sum(written_off_step - opening_step) as written_off_amount,
        sum(aged_step - paid_step) as aged_amount,
        sum(case when is_reviewed then 0 else general_step - new_step end) as rate_change_amount,
        sum(
            case
                when is_reviewed
                    then
                        provision_amount - new_step
                        - (opening_provision_amount - opening_step)
                else 0
            end
        ) as specific_change_amount,
        sum(provision_amount) as closing_amount,
        sum(case when is_specific then provision_amount else 0 end) as specific_closing_amount
    from steps
    group by month_on, month_end_on
),

final as (
    select
        month_on,
        month_end_on,
        {{ reporting_currency() }} as currency,
        cast(gross_opening_amount as decimal(18, 2)) as gross_opening_amount,
        cast(gross_new_amount as decimal(18, 2)) as gross_new_amount,
        cast(gross_reopened_amount as decimal(18, 2)) as gross_reopened_amount,
        cast(gross_paid_amount as decimal(18, 2)) as gross_paid_amount,
        cast(gross_credited_amount as decimal(18, 2)) as gross_credited_amount,
        cast(gross_written_off_amount as decimal(18, 2)) as gross_written_off_amount,
        cast(gross_closing_amount as decimal(18, 2)) as gross_closing_amount,
        cast(opening_amount as decimal(18, 2)) as opening_amount,
        cast(new_amount as decimal(18, 2)) as new_amount,
        cast(reopened_amount as decimal(18, 2)) as reopened_amount,
        cast(paid_amount as decimal(18, 2)) as paid_amount,
        cast(credited_amount as decimal(18, 2)) as credited_amount,
        cast(written_off_amount as decimal(18, 2)) as written_off_amount,
        cast(aged_amount as decimal(18, 2)) as aged_amount,
        cast(rate_change_amount as decimal(18, 2)) as rate_change_amount,
        cast(specific_change_amount as decimal(18, 2)) as specific_change_amount,
        -- a claim keeps the rate of its day
        cast(0 as decimal(18, 2)) as exchange_amount,
        cast(closing_amount as decimal(18, 2)) as closing_amount,
        cast(closing_amount - specific_closing_amount as decimal(18, 2))
            as general_closing_amount,
        cast(specific_closing_amount as decimal(18, 2)) as specific_closing_amount,
        {{ mean_of('closing_amount', 'gross_closing_amount') }} as coverage_rate,
        cast(count_customers as integer) as count_customers,
        cast(count_specific_customers as integer) as count_specific_customers
    from movements
)

select * from final
