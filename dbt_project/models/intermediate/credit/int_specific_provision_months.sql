-- Who is assessed on its own at the end of a month, and for how much of what it owes then.
with specific_provisions as (
    select * from {{ ref('specific_provisions') }}
),

-- few are assessed on their own
customer_months as (
    select
        customer_id,
        month_on,
        month_end_on,
        sum(closing_amount) as gross_amount
    from {{ ref('int_bucket_transitions') }}
    where customer_id in (select customer_id from specific_provisions)
    group by customer_id, month_on, month_end_on
),

final as (
    select
        customer_months.customer_id,
        customer_months.month_on,
        customer_months.month_end_on,
        cast(customer_months.gross_amount as decimal(18, 2)) as gross_amount,
        cast(
            least(
                customer_months.gross_amount,
                coalesce(
                    specific_provisions.provision_amount,
                    {{ provision_of(
                        'customer_months.gross_amount', 'specific_provisions.provision_rate'
                    ) }}
                )
            ) as decimal(18, 2)
        ) as specific_amount,
        specific_provisions.reason_en,
        specific_provisions.reason_zh,
        specific_provisions.reviewer,
        specific_provisions.valid_from,
        specific_provisions.valid_to
    from customer_months
    inner join specific_provisions
        on
            customer_months.customer_id = specific_provisions.customer_id
            and {{ is_in_force_on('specific_provisions', 'customer_months.month_end_on') }}
    qualify row_number() over (
        partition by customer_months.customer_id, customer_months.month_on
        order by specific_provisions.valid_from desc, specific_provisions.version desc
    ) = 1
)

select * from final
