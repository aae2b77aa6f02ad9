with customer_versions as (
    select * from {{ ref('int_customer_versions') }}
),

-- a record that begins after the as-of date stands for a customer only where no other does
ranked_records as (
    select
        customer_versions.*,
        row_number() over (
            partition by customer_id
            order by
                case when valid_from > {{ as_of_date() }} then 1 else 0 end asc,
                {{ order_of_records('customer_versions') }}
        ) as record_no
    from customer_versions
    where valid_to is null
),

-- what the main record does not say the next one may
other_amounts as (
    select distinct
        customer_id,
        {{ next_known('credit_limit_amount') }} as credit_limit_amount,
        {{ next_known('net_worth_amount') }} as net_worth_amount,
        {{ next_known('working_capital_amount') }} as working_capital_amount
    from ranked_records
    where record_no > 1
),

-- a customer since its first record, also where the source deleted that one after a merge
last_versions as (
    select * from customer_versions
    qualify row_number() over (partition by source_customer_id order by version_no desc) = 1
),

first_onboardings as (
    select
        customer_id,
        min(onboarded_on) as onboarded_on
    from last_versions
    group by customer_id
)

select
    main_records.customer_id,
    main_records.source_customer_id,
    main_records.customer_name,
    main_records.legal_id,
    main_records.group_id,
    main_records.parent_id,
    main_records.industry,
    main_records.size_class,
    main_records.region,
    main_records.customer_type,
    main_records.account_manager,
    main_records.payment_terms_days,
    coalesce(main_records.credit_limit_amount, other_amounts.credit_limit_amount)
        as credit_limit_amount,
    coalesce(main_records.net_worth_amount, other_amounts.net_worth_amount) as net_worth_amount,
    coalesce(main_records.working_capital_amount, other_amounts.working_capital_amount)
        as working_capital_amount,
    first_onboardings.onboarded_on
from ranked_records as main_records
inner join first_onboardings on main_records.customer_id = first_onboardings.customer_id
left join other_amounts on main_records.customer_id = other_amounts.customer_id
where main_records.record_no = 1
