with orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled
),

customers as (
    select * from {{ ref('dim_customers') }}
),

run_context as (
    select * from {{ ref('stg_landing__run_context') }}
),

model_runs as (
    select * from {{ ref('stg_landing__model_runs') }}
    where model like 'clv%' and fitted_as_of <= {{ as_of_date() }}
),

parameters as (
    select
        max(value) filter (where parameter = 'holdout_days') as holdout_days,
        max(value) filter (where parameter = 'origins') as origins,
        max(value) filter (where parameter = 'refit_days') as refit_days
    from {{ ref('int_clv_parameters') }}
),

return_months as (
    select
        customer_id,
        month_on,
        returns_amount
    from {{ ref('fct_customer_months') }}
    where returns_amount <> 0
),

book as (
    select
        min(ordered_on) as first_ordered_on,
        -- one basis for the whole company, as in customer_clv
        count(margin_amount) > 0 as has_margins
    from orders
),

-- the past days to fit at are only needed where a fit is due
fits_due as (
    select
        count(model_runs.fitted_as_of) = 0
        or (
            bool_or(run_context.is_refit)
            and max(model_runs.fitted_as_of)
            <= {{ add_days(as_of_date(), '-max(parameters.refit_days)') }}
        ) as is_due
    from run_context
    cross join parameters
    left join model_runs on true
),

origin_numbers as (
    {%- for number in range(7) %}
        select {{ number }} as origin_no
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- the as-of date, and days one holdout apart with at least as much past as they forecast
origins as (
    select
        origin_numbers.origin_no,
        {{ add_days(as_of_date(), '-origin_numbers.origin_no * parameters.holdout_days') }}
            as origin_on,
        cast(parameters.holdout_days as integer) as holdout_days
    from origin_numbers
    cross join parameters
    cross join fits_due
    cross join book
    where
        origin_numbers.origin_no = 0
        or (
            fits_due.is_due
            and origin_numbers.origin_no <= parameters.origins
            and {{ add_days(
                as_of_date(), '-(origin_numbers.origin_no + 1) * parameters.holdout_days'
            ) }} >= book.first_ordered_on
        )
),

-- returns are known by month: a month's count at the origins that it ended before
customer_returns as (
    select
        return_months.customer_id,
        origins.origin_no,
        sum(return_months.returns_amount) filter (
            where origins.origin_no = 0
            or return_months.month_on < {{ month_start('origins.origin_on') }}
        ) as returns_amount,
        sum(return_months.returns_amount) filter (
            where return_months.month_on >= {{ month_start('origins.origin_on') }}
            and (
                origins.origin_no = 1
                or return_months.month_on
                < {{ month_start(add_days('origins.origin_on', 'origins.holdout_days')) }}
            )
        ) as holdout_returns_amount
    from return_months
    cross join origins
    group by return_months.customer_id, origins.origin_no
),

-- what is bought on one day is one purchase
purchase_days as (
    select
        customer_id,
        ordered_on,
        count(*) as count_orders,
        count(*) filter (where sale_type = 'contract') as count_contract_orders,
        sum(revenue_amount) as revenue_amount,
        sum(gross_amount) as gross_amount,
        -- one order of unknown cost leaves the margin of its day unknown
        case when count(margin_amount) = count(*) then sum(margin_amount) end as margin_amount,
        case when count(weight_tonnes) = count(*) then sum(weight_tonnes) end as weight_tonnes
    from orders
    group by customer_id, ordered_on
),

-- decimals: their sums do not hang on the order of the rows
valued_days as (
    select
        purchase_days.*,
        cast(
            case
                when book.has_margins then purchase_days.margin_amount
                else purchase_days.revenue_amount
            end as decimal(19, 2)
        ) as value_amount,
        -- what a margin is a rate of; a revenue is no rate of itself
        case when book.has_margins then purchase_days.revenue_amount end as rated_revenue_amount,
        cast(ln(cast({{ days_between(
            'lag(purchase_days.ordered_on) over ('
            'partition by purchase_days.customer_id order by purchase_days.ordered_on)',
            'purchase_days.ordered_on'
        ) }} as double)) as decimal(18, 12)) as log_gap
    from purchase_days
    cross join book
),

histories as (
    select
        valued_days.customer_id,
        origins.origin_no,
        origins.origin_on,
        origins.holdout_days,
        min(valued_days.ordered_on) as first_purchase_on,
        max(valued_days.ordered_on) filter (where valued_days.ordered_on <= origins.origin_on)
            as last_purchase_on,
        count(*) filter (where valued_days.ordered_on <= origins.origin_on) as count_purchases,
        count(*) filter (
            where valued_days.ordered_on > origins.origin_on
            and valued_days.ordered_on
            <= {{ add_days('origins.origin_on', 'origins.holdout_days') }}
        ) as holdout_purchases,
        sum(valued_days.count_orders) filter (where valued_days.ordered_on <= origins.origin_on)
            as count_orders,
        sum(valued_days.count_contract_orders) filter (
            where valued_days.ordered_on <= origins.origin_on
        ) as count_contract_orders,
        sum(valued_days.log_gap) filter (where valued_days.ordered_on <= origins.origin_on)
            as log_gap_sum,
        count(valued_days.value_amount) filter (
            where valued_days.ordered_on <= origins.origin_on
        ) as value_purchases,
        sum(valued_days.value_amount) filter (where valued_days.ordered_on <= origins.origin_on)
            as value_amount,
        sum(valued_days.value_amount * valued_days.value_amount) filter (
            where valued_days.ordered_on <= origins.origin_on
        ) as value_squares,
        sum(valued_days.rated_revenue_amount) filter (
            where valued_days.ordered_on <= origins.origin_on
            and valued_days.value_amount is not null
        ) as value_revenue_amount,
        sum(valued_days.rated_revenue_amount) filter (
            where valued_days.ordered_on <= origins.origin_on
        ) as rated_revenue_amount,
        count(valued_days.value_amount) filter (
            where valued_days.ordered_on > origins.origin_on
            and valued_days.ordered_on
            <= {{ add_days('origins.origin_on', 'origins.holdout_days') }}
        ) as holdout_value_purchases,
        sum(valued_days.value_amount) filter (
            where valued_days.ordered_on > origins.origin_on
            and valued_days.ordered_on
            <= {{ add_days('origins.origin_on', 'origins.holdout_days') }}
        ) as holdout_value_amount,
        sum(valued_days.gross_amount) as gross_amount,
        sum(valued_days.gross_amount) filter (
            where valued_days.ordered_on > {{ add_days('origins.origin_on', -365) }}
        ) as gross_12_months_amount,
        count(valued_days.weight_tonnes) as weighed_purchases,
        sum(valued_days.weight_tonnes) as weight_tonnes
    from valued_days
    cross join origins
    group by
        valued_days.customer_id, origins.origin_no, origins.origin_on, origins.holdout_days
),

final as (
    select
        histories.customer_id,
        histories.origin_no,
        histories.origin_on,
        histories.holdout_days,
        -- what most of its orders were; an order that names no sale type is under no contract
        case
            when 2 * histories.count_contract_orders >= histories.count_orders then 'contract'
            else 'spot'
        end as sale_type,
        -- as they are known today: no feed says since when
        {%- for covariate in ['industry', 'region', 'size_class'] %}
            coalesce(customers.{{ covariate }}, 'unknown') as {{ covariate }},
        {%- endfor %}
        histories.first_purchase_on,
        histories.last_purchase_on,
        cast(histories.count_purchases - 1 as integer) as repeats,
        cast({{ days_between(
            'histories.first_purchase_on', 'histories.last_purchase_on'
        ) }} as integer) as last_at_days,
        cast({{ days_between('histories.first_purchase_on', 'histories.origin_on') }} as integer)
            as age_days,
        coalesce(histories.log_gap_sum, 0) as log_gap_sum,
        case when histories.origin_no > 0 then cast(histories.holdout_purchases as integer) end
            as holdout_purchases,
        cast(histories.value_purchases as integer) as value_purchases,
        -- net of what was returned
        {{ mean_of('histories.value_amount', 'histories.value_purchases') }}
        - {{ mean_of(
            'coalesce(customer_returns.returns_amount, 0)', 'histories.count_purchases'
        ) }} as value_mean,
        case
            when histories.value_purchases > 1
                then
                    greatest(
                        (
                            cast(histories.value_squares as double)
                            - cast(histories.value_amount as double)
                            * cast(histories.value_amount as double) / histories.value_purchases
                        ) / (histories.value_purchases - 1),
                        0
                    )
        end as value_variance,
        coalesce(
            {{ mean_of('histories.value_revenue_amount', 'histories.value_purchases') }},
            {{ mean_of('histories.rated_revenue_amount', 'histories.count_purchases') }}
        ) as revenue_mean,
        case
            when histories.origin_no > 0 then cast(histories.holdout_value_purchases as integer)
        end as holdout_value_purchases,
        case
            when histories.origin_no > 0
                then
                    {{ mean_of(
                        'histories.holdout_value_amount', 'histories.holdout_value_purchases'
                    ) }}
                    - {{ mean_of(
                        'coalesce(customer_returns.holdout_returns_amount, 0)',
                        'histories.holdout_purchases',
                    ) }}
        end as holdout_value_mean,
        -- the rest is of the as-of date alone
        case when histories.origin_no = 0 then histories.gross_amount end as gross_amount,
        case
            when histories.origin_no = 0 then coalesce(histories.gross_12_months_amount, 0)
        end as gross_12_months_amount,
        case when histories.origin_no = 0 then cast(histories.weighed_purchases as integer) end
            as weighed_purchases,
        case when histories.origin_no = 0 then histories.weight_tonnes end as weight_tonnes
    from histories
    left join customers on histories.customer_id = customers.customer_id
    left join customer_returns
        on
            histories.customer_id = customer_returns.customer_id
            and histories.origin_no = customer_returns.origin_no
    -- who had not bought by then was no customer yet
    where histories.count_purchases > 0
)

select * from final
