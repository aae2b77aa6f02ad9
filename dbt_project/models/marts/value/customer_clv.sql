{%- set horizons = {'12_months': 12, '36_months': 36} %}
{%- set renewal_columns = [
    'renewal_probability', 'renewal_probability_low', 'renewal_probability_high', 'model_version',
] %}
{%- set covariates = ['industry', 'region', 'size_class'] %}
{%- set price_of_tonnes -%}
    cast(
        cast(sum(revenue_amount) as double) / cast(sum(weight_tonnes) as double) as decimal(18, 4)
    )
{%- endset -%}

{#- The shrunken rate is told in the customer's revenue of a purchase. #}
{%- set unit_of_margin -%}
    case when margin_fits.fit_basis = 'shrunken_rate' then shrunken_buyers.revenue_mean else 1 end
{%- endset -%}

with customers as (
    select * from {{ ref('dim_customers') }}
),

customer_totals as (
    select * from {{ ref('fct_customer_totals') }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
),

order_lines as (
    select * from {{ ref('fct_order_lines') }}
    where not is_cancelled and weight_tonnes > 0
),

products as (
    select * from {{ ref('dim_products') }}
),

histories as (
    select * from {{ ref('int_clv_histories') }}
    where origin_no = 0
),

forecasts as (
    select * from {{ ref('int_clv_forecasts') }}
),

-- the covariates that the fit of a sale type reads: null in its forecasts are those it does not
read_covariates as (
    select
        sale_type,
    {%- for covariate in covariates %}
        count({{ covariate }}) > 0 as reads_{{ covariate }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    from forecasts
    group by sale_type
),

credit_scores as (
    select * from {{ ref('credit_scores') }}
),

credit_losses as (
    select * from {{ ref('expected_credit_loss') }}
),

credit_exposures as (
    select * from {{ ref('credit_exposures') }}
),

default_horizon as (
    select max(horizon_months) as horizon_months
    from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
),

parameters as (
    select
        {%- for name in ['prior_purchases', 'price_recent_days', 'alive_at_least'] %}
            max(value) filter (where parameter = '{{ name }}') as {{ name }},
        {%- endfor %}
        count(*) as count_parameters
    from {{ ref('int_clv_parameters') }}
),

status_texts as (
    select * from {{ ref('clv_texts') }}
    where dimension = 'clv_status' and {{ is_in_force() }}
),

contracts as (
    select * from {{ ref('int_clv_contracts') }}
    where is_latest
),

renewals as (
    select * from {{ ref('int_clv_renewals') }}
),

basis_texts as (
    select * from {{ ref('clv_texts') }}
    where dimension = 'margin_basis' and {{ is_in_force() }}
),

renewal_texts as (
    select * from {{ ref('clv_texts') }}
    where dimension = 'renewal_status' and {{ is_in_force() }}
),

margin_fits as (
    select
        case model when 'clv_margin_contract' then 'contract' else 'spot' end as sale_type,
        version as margin_model_version,
        {%- for name in ['mean', 'between', 'within', 'p', 'q', 'gamma'] %}
            {{ json_number('artefact', '$.' ~ name) }} as fit_{{ name }},
        {%- endfor %}
        {{ json_text('artefact', '$.basis') }} as fit_basis,
        is_in_force as is_margin_promoted
    from {{ ref('int_clv_model_runs') }}
    where is_scoring and model in ('clv_margin_contract', 'clv_margin_spot')
),

month_totals as (
    select
        customer_id,
        count(margin_amount) as count_costed_months,
        sum(returns_amount) as returns_amount,
        sum(net_margin_amount) as net_margin_amount,
        sum(acquisition_cost_amount) as acquisition_cost_amount,
        sum(cost_to_serve_amount) as cost_to_serve_amount
    from customer_months
    group by customer_id
),

-- one basis for the whole company: values on cost and on revenue do not compare
margin_basis as (
    select
        case when count(margin_amount) > 0 then 'cost' else 'revenue' end as margin_basis,
        -- a feed's columns are null on every row or on none
        count(acquisition_cost_amount) > 0 as has_acquisition_costs,
        count(cost_to_serve_amount) > 0 as has_costs_to_serve
    from customer_months
),

valued_customers as (
    select
        customers.customer_id,
        margin_basis.margin_basis,
        customer_totals.first_ordered_on,
        customer_totals.last_ordered_on,
        coalesce(customer_totals.count_orders, 0) as count_orders,
        coalesce(customer_totals.revenue_amount, 0) as revenue_amount,
        coalesce(month_totals.returns_amount, 0) as returns_amount,
        case
            when margin_basis.margin_basis = 'cost' and customer_totals.customer_id is null then 0
            else customer_totals.margin_amount
        end as margin_amount,
        -- orders of which none has a known cost have no margin, and returns alone are not one
        case
            when customer_totals.customer_id is null or month_totals.count_costed_months > 0
                then coalesce(month_totals.net_margin_amount, 0)
        end as net_margin_amount,
        {{ zero_where_fed(
            'margin_basis.has_acquisition_costs', 'month_totals.acquisition_cost_amount'
        ) }} as acquisition_cost_amount,
        {{ zero_where_fed(
            'margin_basis.has_costs_to_serve', 'month_totals.cost_to_serve_amount'
        ) }} as cost_to_serve_amount
    from customers
    cross join margin_basis
    left join customer_totals on customers.customer_id = customer_totals.customer_id
    left join month_totals on customers.customer_id = month_totals.customer_id
),

category_lines as (
    select
        order_lines.customer_id,
        products.category,
        order_lines.ordered_on,
        {{ month_start('order_lines.ordered_on') }} as month_on,
        order_lines.revenue_amount,
        -- as wide as DuckDB's product with a price needs
        cast(order_lines.weight_tonnes as decimal(19, 4)) as weight_tonnes
    from order_lines
    inner join products on order_lines.product_id = products.product_id
),

-- what the book's tonne cost in each month, and what it costs now
month_prices as (
    select
        category,
        month_on,
        {{ price_of_tonnes }} as price_amount
    from category_lines
    group by category, month_on
),

recent_prices as (
    select
        category,
        {{ price_of_tonnes }} as price_amount
    from category_lines
    cross join parameters
    where ordered_on > {{ add_days(as_of_date(), '-parameters.price_recent_days') }}
    group by category
),

price_factors as (
    select
        category_lines.customer_id,
        {{ mean_of(
            'sum(category_lines.weight_tonnes * recent_prices.price_amount)',
            'cast(sum(category_lines.weight_tonnes * month_prices.price_amount) as double)',
        ) }} as price_factor
    from category_lines
    inner join month_prices
        on
            category_lines.category = month_prices.category
            and category_lines.month_on = month_prices.month_on
    inner join recent_prices on category_lines.category = recent_prices.category
    group by category_lines.customer_id
),

-- what the customer's own history says, and what its sale type's says
buyers as (
    select
        histories.*,
        histories.repeats + 1 as count_purchases,
        valued_customers.cost_to_serve_amount,
        -- what is not delivered yet is not lost with its buyer; what is overdue is provided for,
        -- and no part of what purchases to come leave open
        greatest(
            credit_exposures.exposure_amount
            - coalesce(credit_exposures.undelivered_orders_amount, 0)
            - coalesce(credit_losses.overdue_amount, 0),
            0
        ) as exposure_amount,
        {{ mean_of('histories.gross_amount', 'histories.repeats + 1') }} as gross_per_purchase,
        -- who is in default has lost what it owes already: new sales are a risk like its type's
        case
            when not coalesce(credit_scores.is_in_default, false) then credit_scores.pd_probability
        end as pd_probability,
        coalesce(credit_losses.loss_given_default_rate, {{ loss_given_default_of_others() }})
            as loss_given_default
    from histories
    inner join valued_customers on histories.customer_id = valued_customers.customer_id
    left join credit_exposures on histories.customer_id = credit_exposures.customer_id
    left join credit_scores on histories.customer_id = credit_scores.customer_id
    left join credit_losses on histories.customer_id = credit_losses.customer_id
),

type_means as (
    select
        sale_type,
        {{ mean_of('sum(cost_to_serve_amount)', 'cast(sum(gross_amount) as double)') }}
            as cost_rate,
        {{ mean_of('sum(exposure_amount)', 'cast(sum(gross_12_months_amount) as double)') }}
            as exposure_rate,
        {{ mean_of('sum(' ~ to_exact('pd_probability') ~ ')', 'count(pd_probability)') }}
            as pd_mean
    from buyers
    group by sale_type
),

-- rates of sales, the sale type's weighing as so many purchases of the customer's own size
shrunken_buyers as (
    select
        buyers.*,
        (
            buyers.cost_to_serve_amount
            + parameters.prior_purchases * buyers.gross_per_purchase * type_means.cost_rate
        ) / (buyers.count_purchases + parameters.prior_purchases) as cost_per_purchase,
        {{ mean_of('buyers.weight_tonnes', 'buyers.weighed_purchases') }} as tonnes_per_purchase,
        least(
            coalesce(
                (
                    coalesce(buyers.exposure_amount, 0)
                    + parameters.prior_purchases
                    * buyers.gross_per_purchase
                    * type_means.exposure_rate
                )
                / nullif(
                    buyers.gross_12_months_amount
                    + parameters.prior_purchases * buyers.gross_per_purchase,
                    0
                ),
                type_means.exposure_rate
            ),
            1
        ) as exposure_share,
        coalesce(buyers.pd_probability, type_means.pd_mean) as default_probability,
        case
            when buyers.pd_probability is not null then 'own'
            when type_means.pd_mean is not null then 'sale_type'
        end as credit_loss_basis
    from buyers
    cross join parameters
    inner join type_means on buyers.sale_type = type_means.sale_type
),

-- where Gamma-Gamma holds it values a mean above zero; all else is shrunk to the mean of all, or to
-- the rate of all of the customer's own revenue
expected_margins as (
    select
        shrunken_buyers.*,
        margin_fits.margin_model_version,
        margin_fits.is_margin_promoted,
        coalesce(
            shrunken_buyers.value_purchases * margin_fits.fit_between
            / nullif(
                shrunken_buyers.value_purchases * margin_fits.fit_between + margin_fits.fit_within,
                0
            ),
            0
        ) as credibility,
        margin_fits.fit_mean * {{ unit_of_margin }} as prior_margin,
        margin_fits.fit_between * power({{ unit_of_margin }}, 2) as variance_between,
        margin_fits.fit_within * power({{ unit_of_margin }}, 2) as variance_within,
        case
            when shrunken_buyers.value_purchases = 0 then 'mean_of_all'
            when margin_fits.fit_basis = 'shrunken_rate' then 'shrunken_rate'
            when margin_fits.fit_basis = 'gamma_gamma' and shrunken_buyers.value_mean > 0
                then 'gamma_gamma'
            else 'shrunken_mean'
        end as margin_model,
        (margin_fits.fit_gamma + shrunken_buyers.value_purchases * shrunken_buyers.value_mean)
        * margin_fits.fit_p
        / (margin_fits.fit_p * shrunken_buyers.value_purchases + margin_fits.fit_q - 1)
            as gamma_gamma_mean
    from shrunken_buyers
    inner join margin_fits on shrunken_buyers.sale_type = margin_fits.sale_type
),

forecast_customers as (
    select
        shrunken_buyers.customer_id,
        shrunken_buyers.sale_type,
        shrunken_buyers.count_purchases,
        shrunken_buyers.last_purchase_on,
        shrunken_buyers.tonnes_per_purchase,
        shrunken_buyers.credit_loss_basis,
        expected_margins.margin_model,
        expected_margins.margin_model_version,
        expected_margins.is_margin_promoted,
        forecasts.model_version,
        forecasts.purchase_model,
        forecasts.fit_status,
        forecasts.is_promoted,
        forecasts.probability_alive,
        forecasts.next_purchase_from_days,
        forecasts.next_purchase_until_days,
        forecasts.interval_quantile,
        expected_margins.variance_within,
        expected_margins.variance_between * (1 - expected_margins.credibility) as margin_variance,
        case expected_margins.margin_model
            when 'gamma_gamma' then expected_margins.gamma_gamma_mean
            else
                expected_margins.prior_margin
                + expected_margins.credibility
                * (coalesce(expected_margins.value_mean, 0) - expected_margins.prior_margin)
        end as margin_per_purchase,
        shrunken_buyers.cost_per_purchase,
    {%- for horizon, months in horizons.items() %}
        forecasts.expected_purchases_{{ horizon }},
        forecasts.discounted_purchases_{{ horizon }},
        forecasts.purchases_low_rate_{{ horizon }},
        forecasts.purchases_high_rate_{{ horizon }},
        -- PD over the horizon x LGD x what is outstanding of a year's sales of the horizon
        (
            1 - power(
                1 - shrunken_buyers.default_probability,
                {{ months }} / cast(default_horizon.horizon_months as double)
            )
        )
        * shrunken_buyers.loss_given_default
        * shrunken_buyers.exposure_share
        * shrunken_buyers.gross_per_purchase
        * 12 / {{ months }} as loss_per_purchase_{{ horizon }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    from shrunken_buyers
    cross join default_horizon
    left join expected_margins on shrunken_buyers.customer_id = expected_margins.customer_id
    left join read_covariates on shrunken_buyers.sale_type = read_covariates.sale_type
    left join forecasts
        on
            shrunken_buyers.sale_type = forecasts.sale_type
            and shrunken_buyers.repeats = forecasts.repeats
            and shrunken_buyers.last_at_days = forecasts.last_at_days
            and shrunken_buyers.age_days = forecasts.age_days
            {%- for covariate in covariates %}
                and case
                    when read_covariates.reads_{{ covariate }} then shrunken_buyers.{{ covariate }}
                end is not distinct from forecasts.{{ covariate }}
            {%- endfor %}
),

-- to the cent, so that the published parts add up to the published value
expected_amounts as (
    select
        forecast_customers.*,
    {%- for horizon in horizons %}
        {{ cents_of('discounted_purchases_' ~ horizon ~ ' * margin_per_purchase') }}
            as expected_margin_{{ horizon }}_amount,
        case
            when margin_basis.margin_basis = 'cost'
                then {{ cents_of('discounted_purchases_' ~ horizon ~ ' * cost_per_purchase') }}
        end as expected_cost_to_serve_{{ horizon }}_amount,
        case
            when margin_basis.margin_basis = 'cost'
                then {{ cents_of(
                        'discounted_purchases_' ~ horizon ~ ' * loss_per_purchase_' ~ horizon
                    ) }}
        end as expected_credit_loss_{{ horizon }}_amount
        {{- ',' if not loop.last }}
    {%- endfor %}
    from forecast_customers
    cross join margin_basis
),

expected_values as (
    select
        *,
    {%- for horizon in horizons %}
        expected_margin_{{ horizon }}_amount
        - coalesce(expected_cost_to_serve_{{ horizon }}_amount, 0)
        - coalesce(expected_credit_loss_{{ horizon }}_amount, 0)
            as expected_clv_{{ horizon }}_amount
        {{- ',' if not loop.last }}
    {%- endfor %}
    from expected_amounts
),

-- the number bought and the margin of each, apart: independent errors add in squares
value_errors as (
    select
        *,
    {%- for horizon in horizons %}
        sqrt(
            power(
                expected_clv_{{ horizon }}_amount * case
                    when expected_clv_{{ horizon }}_amount >= 0
                        then 1 - purchases_low_rate_{{ horizon }}
                    else purchases_high_rate_{{ horizon }} - 1
                end,
                2
            )
            + power(interval_quantile, 2) * (
                discounted_purchases_{{ horizon }} * variance_within
                + power(discounted_purchases_{{ horizon }}, 2) * margin_variance
            )
        ) as below_{{ horizon }},
        sqrt(
            power(
                expected_clv_{{ horizon }}_amount * case
                    when expected_clv_{{ horizon }}_amount >= 0
                        then purchases_high_rate_{{ horizon }} - 1
                    else 1 - purchases_low_rate_{{ horizon }}
                end,
                2
            )
            + power(interval_quantile, 2) * (
                discounted_purchases_{{ horizon }} * variance_within
                + power(discounted_purchases_{{ horizon }}, 2) * margin_variance
            )
        ) as above_{{ horizon }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    from expected_values
),

-- a contract year is renewed by the first contract order of the next one; how many renew tells
-- nothing of a customer that its purchases say is gone
contract_renewals as (
    select
        contracts.customer_id,
        contracts.last_year_no - contracts.first_year_no as count_renewals,
        {{ add_months('contracts.first_contract_on', '12 * contracts.last_year_no') }} as due_on,
        case
            when contracts.last_year_no < contracts.complete_years then 'lapsed'
            when forecast_customers.probability_alive < parameters.alive_at_least then 'silent'
            when contracts.last_year_no = contracts.complete_years then 'awaited'
            when renewals.is_promoted then 'expected'
            when renewals.model_version is not null then 'provisional'
            else 'no_model'
        end as renewal_status,
        renewals.renewal_probability,
        renewals.renewal_probability_low,
        renewals.renewal_probability_high,
        renewals.model_version
    from contracts
    cross join parameters
    left join forecast_customers on contracts.customer_id = forecast_customers.customer_id
    left join renewals
        on contracts.last_year_no - contracts.first_year_no = renewals.renewals
),

told_renewals as (
    select
        customer_id,
        count_renewals,
        due_on,
        renewal_status,
    {%- for column in renewal_columns %}
        case when renewal_status in ('expected', 'provisional') then {{ column }} end
            as {{ column }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    from contract_renewals
),

judged_customers as (
    select
        valued_customers.*,
        value_errors.sale_type,
        value_errors.count_purchases,
        value_errors.last_purchase_on,
        value_errors.probability_alive,
        value_errors.next_purchase_from_days,
        value_errors.next_purchase_until_days,
        value_errors.margin_model,
        value_errors.margin_model_version,
        value_errors.purchase_model,
        value_errors.fit_status,
        value_errors.model_version,
        value_errors.credit_loss_basis,
        value_errors.tonnes_per_purchase,
        value_errors.margin_per_purchase,
        price_factors.price_factor,
        {%- for horizon in horizons %}
            value_errors.expected_purchases_{{ horizon }},
            value_errors.expected_margin_{{ horizon }}_amount,
            value_errors.expected_cost_to_serve_{{ horizon }}_amount,
            value_errors.expected_credit_loss_{{ horizon }}_amount,
            value_errors.expected_clv_{{ horizon }}_amount,
            value_errors.expected_clv_{{ horizon }}_amount
            - {{ cents_of('value_errors.below_' ~ horizon) }}
                as expected_clv_{{ horizon }}_low_amount,
            value_errors.expected_clv_{{ horizon }}_amount
            + {{ cents_of('value_errors.above_' ~ horizon) }}
                as expected_clv_{{ horizon }}_high_amount,
        {%- endfor %}
        told_renewals.count_renewals,
        told_renewals.due_on,
        coalesce(told_renewals.renewal_status, 'no_contract') as renewal_status,
        told_renewals.renewal_probability,
        told_renewals.renewal_probability_low,
        told_renewals.renewal_probability_high,
        told_renewals.model_version as renewal_model_version,
        case
            when value_errors.customer_id is null then 'no_purchase'
            when value_errors.model_version is null then 'no_model'
            when value_errors.margin_per_purchase is null then 'margin_unknown'
            when value_errors.is_promoted and value_errors.is_margin_promoted then 'expected'
            else 'provisional'
        end as clv_status
    from valued_customers
    left join value_errors on valued_customers.customer_id = value_errors.customer_id
    left join price_factors on valued_customers.customer_id = price_factors.customer_id
    left join told_renewals on valued_customers.customer_id = told_renewals.customer_id
),

final as (
    select
        judged_customers.customer_id,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        judged_customers.first_ordered_on,
        cast(
            {{ days_between('judged_customers.first_ordered_on', as_of_date()) }} as integer
        ) as tenure_days,
        cast(judged_customers.count_orders as integer) as count_orders,
        cast(judged_customers.revenue_amount as decimal(18, 2)) as historical_revenue_amount,
        cast(judged_customers.returns_amount as decimal(18, 2)) as historical_returns_amount,
        cast(judged_customers.margin_amount as decimal(18, 2)) as historical_margin_amount,
        cast(judged_customers.acquisition_cost_amount as decimal(18, 2))
            as acquisition_cost_amount,
        cast(judged_customers.cost_to_serve_amount as decimal(18, 2)) as cost_to_serve_amount,
        cast(
            case
                when judged_customers.margin_basis = 'revenue'
                    then judged_customers.revenue_amount - judged_customers.returns_amount
                else
                    judged_customers.net_margin_amount
                    - coalesce(judged_customers.acquisition_cost_amount, 0)
                    - coalesce(judged_customers.cost_to_serve_amount, 0)
            end as decimal(18, 2)
        ) as historical_clv_amount,
        -- decimals divide as doubles: six decimals bring an exact half back before it is rounded
        case
            when judged_customers.count_orders > 0
                then {{ to_amount(
                    'cast(judged_customers.revenue_amount / judged_customers.count_orders'
                    ' as decimal(28, 6))'
                ) }}
        end as average_order_amount,
        judged_customers.margin_basis,
        judged_customers.clv_status,
        status_texts.label_en as clv_status_label_en,
        status_texts.label_zh as clv_status_label_zh,
        {%- for language in ['en', 'zh'] %}
            {{ fill_in('status_texts.reason_' ~ language, {
                'alive': with_decimal_if_any('100 * judged_customers.probability_alive'),
                'purchases': 'judged_customers.count_purchases',
                'recency_days': days_between('judged_customers.last_purchase_on', as_of_date()),
                'expected': with_decimal_if_any('judged_customers.expected_purchases_12_months'),
                'margin': as_grouped('judged_customers.margin_per_purchase'),
                'basis': 'basis_texts.label_' ~ language,
                'currency': reporting_currency(),
            }) }} as clv_reason_{{ language }},
        {%- endfor %}
        judged_customers.sale_type,
        judged_customers.probability_alive,
        judged_customers.probability_alive < parameters.alive_at_least as is_silent_by_model,
        judged_customers.expected_purchases_12_months,
        {{ cents_of('judged_customers.margin_per_purchase') }}
            as expected_margin_per_purchase_amount,
        judged_customers.margin_model,
        {%- for horizon in horizons %}
            {%- for part in ['margin', 'cost_to_serve', 'credit_loss', 'clv'] %}
                cast(judged_customers.expected_{{ part }}_{{ horizon }}_amount as decimal(18, 2))
                    as expected_{{ part }}_{{ horizon }}_amount,
            {%- endfor %}
            {%- for end in ['low', 'high'] %}
                cast(
                    judged_customers.expected_clv_{{ horizon }}_{{ end }}_amount as decimal(18, 2)
                ) as expected_clv_{{ horizon }}_{{ end }}_amount,
            {%- endfor %}
        {%- endfor %}
        judged_customers.credit_loss_basis,
        cast(
            round(
                judged_customers.expected_purchases_12_months
                * judged_customers.tonnes_per_purchase,
                4
            ) as decimal(18, 4)
        ) as expected_volume_tonnes_12_months,
        {{ cents_of(
            'judged_customers.margin_per_purchase / judged_customers.tonnes_per_purchase'
        ) }} as expected_margin_per_tonne_amount,
        judged_customers.price_factor,
        {{ add_days(as_of_date(), 'judged_customers.next_purchase_from_days') }}
            as next_purchase_from_on,
        {{ add_days(as_of_date(), 'judged_customers.next_purchase_until_days') }}
            as next_purchase_until_on,
        judged_customers.purchase_model,
        judged_customers.fit_status,
        coalesce(judged_customers.model_version, 'historical') as model_version,
        judged_customers.margin_model_version,
        judged_customers.renewal_status,
        renewal_texts.label_en as renewal_status_label_en,
        renewal_texts.label_zh as renewal_status_label_zh,
        {%- for language in ['en', 'zh'] %}
            {{ fill_in('renewal_texts.reason_' ~ language, {
                'probability': with_decimal_if_any('100 * judged_customers.renewal_probability'),
                'alive': with_decimal_if_any('100 * judged_customers.probability_alive'),
                'renewals': 'judged_customers.count_renewals',
                'due': 'judged_customers.due_on',
            }) }} as renewal_reason_{{ language }},
        {%- endfor %}
        judged_customers.count_renewals,
        case
            when judged_customers.renewal_status <> 'lapsed' then judged_customers.due_on
        end as next_renewal_on,
        judged_customers.renewal_probability,
        judged_customers.renewal_probability_low,
        judged_customers.renewal_probability_high,
        judged_customers.renewal_model_version
    from judged_customers
    cross join parameters
    left join status_texts on judged_customers.clv_status = status_texts.code
    left join basis_texts on judged_customers.margin_basis = basis_texts.code
    left join renewal_texts on judged_customers.renewal_status = renewal_texts.code
)

select * from final
