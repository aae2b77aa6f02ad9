with contract_days as (
    select distinct
        customer_id,
        ordered_on
    from {{ ref('fct_orders') }}
    where not is_cancelled and (sale_type = 'contract' or contract_id is not null)
),

first_days as (
    select
        customer_id,
        min(ordered_on) as first_contract_on
    from contract_days
    group by customer_id
),

-- contract years begin on the anniversaries of the first contract order
contract_years as (
    select distinct
        contract_days.customer_id,
        first_days.first_contract_on,
        {{ whole_years_between('first_days.first_contract_on', 'contract_days.ordered_on') }} + 1
            as year_no
    from contract_days
    inner join first_days on contract_days.customer_id = first_days.customer_id
),

-- consecutive years share the number of the years without an order before them
numbered_years as (
    select
        customer_id,
        first_contract_on,
        year_no,
        year_no - row_number() over (partition by customer_id order by year_no) as years_missed
    from contract_years
),

runs as (
    select
        customer_id,
        first_contract_on,
        min(year_no) as first_year_no,
        max(year_no) as last_year_no
    from numbered_years
    group by customer_id, first_contract_on, years_missed
),

final as (
    select
        customer_id,
        cast(first_year_no as integer) as first_year_no,
        cast(last_year_no as integer) as last_year_no,
        first_contract_on,
        {{ whole_years_between('first_contract_on', as_of_date()) }} as complete_years,
        row_number() over (partition by customer_id order by last_year_no desc) = 1 as is_latest
    from runs
)

select * from final
