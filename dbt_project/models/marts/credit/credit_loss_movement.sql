with customer_provisions as (
    select * from {{ ref('int_customer_provisions') }}
),

-- a month in which nothing was open has its row as well
months as (
    select distinct
        month_on,
        month_end_on
    from {{ ref('int_provision_cells') }}
),

-- from a rate of all it owes to the group's, or back, or to another one: a review, no ageing
steps as (
    select
        *,
        was_specific or is_specific as is_reviewed,
        is_in_default and not is_specific as is_by_default
    from customer_provisions
),

movements as (
    select
        month_on,
        count(*) filter (where gross_closing_amount > 0) as count_customers,
        count(*) filter (where is_specific and gross_closing_amount > 0)
            as count_specific_customers,
        count(*) filter (where is_by_default and gross_closing_amount > 0)
            as count_default_customers,
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
        sum(case when is_reviewed then 0 else turned_step - new_step end)
            as default_change_amount,
        sum(case when is_reviewed then 0 else closing_step - turned_step end)
            as rate_change_amount,
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
        sum(case when is_by_default then provision_amount else 0 end) as default_closing_amount,
        sum(case when is_specific then provision_amount else 0 end) as specific_closing_amount
    from steps
    group by month_on
),

final as (
    select
        months.month_on,
        months.month_end_on,
        {{ reporting_currency() }} as currency,
        {{ or_zero('movements.gross_opening_amount') }} as gross_opening_amount,
        {{ or_zero('movements.gross_new_amount') }} as gross_new_amount,
        {{ or_zero('movements.gross_reopened_amount') }} as gross_reopened_amount,
        {{ or_zero('movements.gross_paid_amount') }} as gross_paid_amount,
        {{ or_zero('movements.gross_credited_amount') }} as gross_credited_amount,
        {{ or_zero('movements.gross_written_off_amount') }} as gross_written_off_amount,
        {{ or_zero('movements.gross_closing_amount') }} as gross_closing_amount,
        {{ or_zero('movements.opening_amount') }} as opening_amount,
        {{ or_zero('movements.new_amount') }} as new_amount,
        {{ or_zero('movements.reopened_amount') }} as reopened_amount,
        {{ or_zero('movements.paid_amount') }} as paid_amount,
        {{ or_zero('movements.credited_amount') }} as credited_amount,
        {{ or_zero('movements.written_off_amount') }} as written_off_amount,
        {{ or_zero('movements.aged_amount') }} as aged_amount,
        {{ or_zero('movements.default_change_amount') }} as default_change_amount,
        {{ or_zero('movements.rate_change_amount') }} as rate_change_amount,
        {{ or_zero('movements.specific_change_amount') }} as specific_change_amount,
        -- a claim keeps the rate of its day
        cast(0 as decimal(18, 2)) as exchange_amount,
        {{ or_zero('movements.closing_amount') }} as closing_amount,
        {{ or_zero(
            'movements.closing_amount - movements.default_closing_amount'
            ~ ' - movements.specific_closing_amount'
        ) }} as general_closing_amount,
        {{ or_zero('movements.default_closing_amount') }} as default_closing_amount,
        {{ or_zero('movements.specific_closing_amount') }} as specific_closing_amount,
        {{ mean_of('movements.closing_amount', 'movements.gross_closing_amount') }}
            as coverage_rate,
        cast(coalesce(movements.count_customers, 0) as integer) as count_customers,
        cast(coalesce(movements.count_default_customers, 0) as integer) as count_default_customers,
        cast(coalesce(movements.count_specific_customers, 0) as integer) as count_specific_customers
    from months
    left join movements on months.month_on = movements.month_on
)

select * from final
