{%- set parameters = [
    'season_window_months', 'season_months_at_least', 'season_orders_at_least'
] -%}

with states as (
    select * from {{ ref('int_customer_states') }}
),

months_changed as (
    select * from {{ ref('int_months_changed') }}
),

segment_parameters as (
    select * from {{ ref('segment_parameters') }}
),

-- the whole book goes under an empty name, and with it the customers of no known industry
industry_months as (
    select
        industry,
        month_on,
        sum(count_orders) as count_orders
    from states
    where industry is not null
    group by industry, month_on
    union all
    select
        '' as industry,
        month_on,
        sum(count_orders) as count_orders
    from states
    group by month_on
),

first_order_months as (
    select
        industry,
        min(month_on) as first_order_month
    from industry_months
    where count_orders > 0
    group by industry
),

calendar_months as (
    select
        month_on,
        {{ state_on('month_on') }} as state_on,
        extract(month from month_on) as calendar_month
    from industry_months
    where industry = ''
),

-- an empty name always, so that every state finds its row
state_months as (
    select
        industry_months.industry,
        calendar_months.month_on,
        calendar_months.state_on,
        {{ parameters_by_column(parameters) }}
    from industry_months
    inner join months_changed on industry_months.month_on >= months_changed.first_month_on
    inner join calendar_months on industry_months.month_on = calendar_months.month_on
    inner join segment_parameters
        on {{ is_in_force_on('segment_parameters', 'calendar_months.state_on') }}
    group by industry_months.industry, calendar_months.month_on, calendar_months.state_on
),

-- whole months before the state's own, so that the day within it changes nothing
season_orders as (
    select
        state_months.industry,
        state_months.month_on,
        extract(month from industry_months.month_on) as calendar_month,
        sum(industry_months.count_orders) as count_orders,
        count(*) as count_months
    from state_months
    inner join first_order_months on state_months.industry = first_order_months.industry
    inner join industry_months
        on
            state_months.industry = industry_months.industry
            and state_months.month_on > industry_months.month_on
            and first_order_months.first_order_month <= industry_months.month_on
            and {{ months_between('industry_months.month_on', 'state_months.month_on') }}
            <= state_months.season_window_months
    group by
        state_months.industry,
        state_months.month_on,
        extract(month from industry_months.month_on)
),

-- decimals: their sums do not hang on the order of the rows
season_means as (
    select
        *,
        cast(cast(count_orders as double) / count_months as decimal(18, 6)) as orders_mean
    from season_orders
),

season_indices as (
    select
        season_means.industry,
        season_means.month_on,
        season_means.calendar_month,
        cast(
            cast(season_means.orders_mean as double)
            * count(*) over (partition by season_means.industry, season_means.month_on)
            / cast(
                sum(season_means.orders_mean) over (
                    partition by season_means.industry, season_means.month_on
                ) as double
            ) as decimal(9, 4)
        ) as season_index
    from season_means
    inner join state_months
        on
            season_means.industry = state_months.industry
            and season_means.month_on = state_months.month_on
    qualify
        sum(season_means.count_months) over (
            partition by season_means.industry, season_means.month_on
        ) >= state_months.season_months_at_least
        and sum(season_means.count_orders) over (
            partition by season_means.industry, season_means.month_on
        ) >= state_months.season_orders_at_least
),

season_bases as (
    select distinct
        industry,
        month_on
    from season_indices
),

chosen_bases as (
    select
        state_months.industry,
        state_months.month_on,
        state_months.state_on,
        case
            when own_bases.industry = '' then 'book'
            when own_bases.industry is not null then 'industry'
            when book_bases.industry is not null then 'book'
            else 'none'
        end as season_basis,
        coalesce(own_bases.industry, book_bases.industry) as basis_industry
    from state_months
    left join season_bases as own_bases
        on
            state_months.industry = own_bases.industry
            and state_months.month_on = own_bases.month_on
    left join season_bases as book_bases
        on book_bases.industry = '' and state_months.month_on = book_bases.month_on
),

weighted_months as (
    select
        chosen_bases.industry,
        chosen_bases.month_on,
        chosen_bases.season_basis,
        calendar_months.month_on as since_month_on,
        coalesce(season_indices.season_index, 1) as season_index,
        {{ days_between(
            'calendar_months.month_on', 'least(calendar_months.state_on, chosen_bases.state_on)'
        ) }} + 1 as month_days
    from chosen_bases
    inner join calendar_months on chosen_bases.month_on >= calendar_months.month_on
    left join season_indices
        on
            chosen_bases.basis_industry = season_indices.industry
            and chosen_bases.month_on = season_indices.month_on
            and calendar_months.calendar_month = season_indices.calendar_month
),

final as (
    select
        industry,
        month_on,
        since_month_on,
        season_basis,
        season_index,
        sum(season_index * month_days) over (
            partition by industry, month_on order by since_month_on desc
            rows between unbounded preceding and current row
        ) as season_days
    from weighted_months
)

select * from final
