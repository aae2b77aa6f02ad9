{#- What a month adds up to: a running one is nothing to set against a whole one. -#}
{%- set month_sums = [
    'collection_rate', 'sales_change', 'price_effect', 'volume_effect', 'mix_effect',
    'unweighed_effect',
] -%}
-- Every measure of a past month is told as of its end: windows end there, and what was resolved,
-- answered or closed later had not been.
with scorecard_rules as (
    select * from {{ parameters_in_force(
        'performance_parameters',
        [
            'short_window_months', 'min_count', 'steady_share', 'promoter_from', 'detractor_to',
        ],
        area='scorecard_rule',
    ) }}
),

measures as (
    select
        code as measure,
        place as measure_order,
        kind as unit,
        label_en,
        label_zh,
        sentence_en,
        sentence_zh
    from {{ ref('performance_texts') }}
    where area = 'scorecard_measure' and {{ is_in_force() }}
),

-- a month goes by the target in force at its end
targets as (
    select
        parameter as measure,
        value as target_value,
        watch_value,
        valid_from,
        valid_to
    from {{ ref('performance_parameters') }}
    where area = 'scorecard'
),

status_texts as (
    select
        area,
        code,
        label_en,
        label_zh
    from {{ ref('performance_texts') }}
    where area in ('scorecard_status', 'scorecard_reason') and {{ is_in_force() }}
),

customer_months as (
    select * from {{ ref('fct_customer_months') }}
),

survey_responses as (
    select * from {{ ref('fct_survey_responses') }}
    where measure in ('nps', 'csat')
),

complaints as (
    select * from {{ ref('fct_complaints') }}
    where resolved_on is not null
),

conversion as (
    select * from {{ ref('sales_conversion') }}
    where dimension = 'book'
),

credit_months as (
    select * from {{ ref('book_credit_metrics') }}
),

expected_values as (
    select * from {{ ref('customer_clv') }}
    where expected_clv_36_months_amount is not null
),

sales_changes as (
    select * from {{ ref('price_volume_mix') }}
),

market_prices as (
    select * from {{ ref('stg_landing__market_prices') }}
    where
        price_on <= {{ as_of_date() }}
        and coalesce(currency, {{ reporting_currency() }}) = {{ reporting_currency() }}
),

known_feeds as (
    select
        count(*) filter (where feed = 'survey_responses') > 0 as has_surveys,
        count(*) filter (where feed = 'complaints') > 0 as has_complaints,
        count(*) filter (where feed = 'customer_costs') > 0 as has_customer_costs,
        count(*) filter (where feed = 'opportunities') > 0 as has_opportunities,
        count(*) filter (where feed = 'market_prices') > 0 as has_market_prices,
        count(*) filter (where feed = 'payments') > 0 as has_payments
    from {{ ref('stg_landing__feeds') }}
    where is_configured or count_rows > 0
),

book as (
    select
        min(month_on) as first_month_on,
        min(month_on) filter (where count_orders > 0) as first_order_month_on
    from customer_months
),

months as (
    select
        book.first_order_month_on,
        cast(
            {{ explode_months('book.first_month_on', month_start(as_of_date())) }} as date
        ) as month_on
    from book
    where book.first_month_on is not null
),

windows as (
    select
        months.month_on,
        months.first_order_month_on,
        {{ state_on('months.month_on') }} as state_on,
        {{ add_months('months.month_on', -11) }} as window_from_on,
        {{ add_months(
            'months.month_on', 'cast(1 - scorecard_rules.short_window_months as integer)'
        ) }} as short_from_on,
        scorecard_rules.promoter_from,
        scorecard_rules.detractor_to
    from months
    cross join scorecard_rules
),

-- a customer has a row for every month since its first: rows are months
bought_months as (
    select
        customer_id,
        month_on,
        sum(coalesce(count_orders, 0)) over (
            partition by customer_id
            order by month_on
            rows between 11 preceding and current row
        ) as orders_12_months,
        sum(coalesce(cost_to_serve_amount, 0)) over (
            partition by customer_id
            order by month_on
            rows between 11 preceding and current row
        ) as cost_to_serve_12_months_amount,
        sum(coalesce(count_orders, 0)) over (
            partition by customer_id
            order by month_on
            rows between 23 preceding and 12 preceding
        ) as orders_12_months_before
    from customer_months
),

loyalty_months as (
    select
        month_on,
        count(*) filter (where orders_12_months > 0) as count_buyers,
        count(*) filter (where orders_12_months > 1) as count_repeaters,
        count(*) filter (where orders_12_months_before > 0) as count_buyers_before,
        count(*) filter (where orders_12_months_before > 0 and orders_12_months > 0)
            as count_retained,
        count(*) filter (where cost_to_serve_12_months_amount > 0) as count_served
    from bought_months
    group by month_on
),

-- who was a customer before the books begin is no new one on its first order in them
first_order_months as (
    select
        customer_id,
        {{ month_start('customer_since_on') }} as first_order_month_on
    from {{ rows_of_this_month('customer_lifecycle') }}
    where customer_since_on is not null
),

new_customer_months as (
    select
        first_order_month_on as month_on,
        count(*) as count_new
    from first_order_months
    group by first_order_month_on
),

acquired_customers as (
    select
        customer_id,
        min(month_on) as acquired_month_on
    from customer_months
    where acquisition_cost_amount > 0
    group by customer_id
),

customer_values as (
    select
        customer_months.month_on,
        acquired_customers.customer_id is not null as is_acquired,
        customer_months.net_revenue_amount,
        customer_months.net_margin_amount,
        customer_months.acquisition_cost_amount,
        customer_months.cost_to_serve_amount
    from customer_months
    left join acquired_customers
        on
            customer_months.customer_id = acquired_customers.customer_id
            and customer_months.month_on >= acquired_customers.acquired_month_on
),

money_months as (
    select
        month_on,
        sum(net_revenue_amount) as net_revenue_amount,
        sum(acquisition_cost_amount) as acquisition_cost_amount,
        sum(cost_to_serve_amount) as cost_to_serve_amount,
        sum(net_margin_amount) filter (where is_acquired) as acquired_margin_amount,
        sum(cost_to_serve_amount) filter (where is_acquired) as acquired_cost_amount
    from customer_values
    group by month_on
),

money_windows as (
    select
        money_months.month_on,
        sum(money_months.net_revenue_amount) over last_year as net_revenue_amount,
        sum(money_months.acquisition_cost_amount) over last_year as acquisition_cost_amount,
        sum(money_months.cost_to_serve_amount) over last_year as cost_to_serve_amount,
        sum(coalesce(new_customer_months.count_new, 0)) over last_year as count_new,
        loyalty_months.count_served,
        sum(money_months.acquired_margin_amount) over to_date as acquired_margin_amount,
        sum(coalesce(money_months.acquired_cost_amount, 0)) over to_date as acquired_cost_amount,
        sum(money_months.acquisition_cost_amount) over to_date as acquisition_to_date_amount
    from money_months
    inner join loyalty_months on money_months.month_on = loyalty_months.month_on
    left join new_customer_months on money_months.month_on = new_customer_months.month_on
    window
        last_year as (order by money_months.month_on rows between 11 preceding and current row),
        to_date as (
            order by money_months.month_on rows between unbounded preceding and current row
        )
),

-- what is expected of whom the last 12 months won; of a past month the expectation is not kept
expected_months as (
    select
        windows.month_on,
        count(*) as count_valued,
        sum(expected_values.expected_clv_36_months_amount) as expected_value_amount
    from windows
    inner join first_order_months
        on windows.window_from_on <= first_order_months.first_order_month_on
    inner join expected_values on first_order_months.customer_id = expected_values.customer_id
    where windows.month_on = {{ month_start(as_of_date()) }}
    group by windows.month_on
),

acquired_months as (
    select
        windows.month_on,
        count(acquired_customers.customer_id) as count_acquired
    from windows
    left join acquired_customers on windows.month_on >= acquired_customers.acquired_month_on
    group by windows.month_on
),

survey_windows as (
    select
        windows.month_on,
        count(*) filter (where survey_responses.measure = 'nps') as count_nps,
        count(*) filter (
            where
            survey_responses.measure = 'nps'
            and survey_responses.score >= windows.promoter_from
        ) as count_promoters,
        count(*) filter (
            where
            survey_responses.measure = 'nps'
            and survey_responses.score <= windows.detractor_to
        ) as count_detractors,
        count(survey_responses.score_rate) filter (where survey_responses.measure = 'csat')
            as count_csat,
        sum(survey_responses.score_rate) filter (where survey_responses.measure = 'csat')
            as csat_total
    from windows
    inner join survey_responses
        on
            windows.short_from_on <= survey_responses.answered_on
            and windows.state_on >= survey_responses.answered_on
    group by windows.month_on
),

complaint_windows as (
    select
        windows.month_on,
        count(*) as count_resolved,
        sum({{ days_between('complaints.opened_on', 'complaints.resolved_on') }}) as total_days
    from windows
    inner join complaints
        on
            windows.short_from_on <= complaints.resolved_on
            and windows.state_on >= complaints.resolved_on
    group by windows.month_on
),

sales_months as (
    select
        month_on,
        count(*) as count_products,
        sum(revenue_amount) as revenue_amount,
        sum(base_revenue_amount) as base_revenue_amount,
        sum(price_effect_amount) as price_effect_amount,
        sum(volume_effect_amount) as volume_effect_amount,
        sum(mix_effect_amount) as mix_effect_amount,
        sum(unweighed_effect_amount) as unweighed_effect_amount
    from sales_changes
    group by month_on
),

market_months as (
    select
        category,
        {{ month_start('price_on') }} as month_on,
        {{ mean_of('sum(market_price)', 'count(*)') }} as market_price
    from market_prices
    group by category, {{ month_start('price_on') }}
),

-- what was sold over what its tonnes were worth at the market's index of their category
market_values as (
    select
        sales_changes.month_on,
        count(*) as count_products,
        sum(sales_changes.revenue_amount) as revenue_amount,
        sum(
            cast(
                cast(sales_changes.weight_tonnes as double) * market_months.market_price
                as decimal(28, 4)
            )
        ) as market_amount
    from sales_changes
    inner join market_months
        on
            sales_changes.category = market_months.category
            and sales_changes.month_on = market_months.month_on
    where sales_changes.weight_tonnes > 0
    group by sales_changes.month_on
),

{%- set values = {
    'nps': (
        'survey_windows',
        '100 * cast(count_promoters - count_detractors as double) / nullif(count_nps, 0)',
        'count_nps',
    ),
    'csat': ('survey_windows', mean_of('csat_total', 'count_csat'), 'count_csat'),
    'repeat_purchase_rate': (
        'loyalty_months', mean_of('count_repeaters', 'count_buyers'), 'count_buyers'
    ),
    'retention_rate': (
        'loyalty_months', mean_of('count_retained', 'count_buyers_before'), 'count_buyers_before'
    ),
    'acquisition_cost': (
        'money_windows', mean_of('acquisition_cost_amount', 'count_new'), 'count_new'
    ),
    'cost_to_serve_rate': (
        'money_windows',
        'case when net_revenue_amount > 0 then '
        ~ mean_of('cost_to_serve_amount', 'net_revenue_amount') ~ ' end',
        'count_served',
    ),
    'sales_growth': (
        'sales_months',
        'case when base_revenue_amount > 0 then '
        ~ mean_of('revenue_amount', 'base_revenue_amount') ~ ' - 1 end',
        'count_products',
    ),
    'sales_change': (
        'sales_months', 'cast(revenue_amount - base_revenue_amount as double)', 'count_products'
    ),
    'price_effect': ('sales_months', 'cast(price_effect_amount as double)', 'count_products'),
    'volume_effect': ('sales_months', 'cast(volume_effect_amount as double)', 'count_products'),
    'mix_effect': ('sales_months', 'cast(mix_effect_amount as double)', 'count_products'),
    'unweighed_effect': (
        'sales_months', 'cast(unweighed_effect_amount as double)', 'count_products'
    ),
    'price_to_market': (
        'market_values', mean_of('revenue_amount', 'market_amount'), 'count_products'
    ),
    'win_rate': ('conversion', 'win_rate', 'count_closed_12_months'),
    'lost_to_market_share': (
        'conversion', 'lost_to_market_share', 'count_lost_reasons_12_months'
    ),
    'collection_rate': ('credit_months', 'collection_rate', 'count_debtors'),
    'complaint_days': (
        'complaint_windows', mean_of('total_days', 'count_resolved'), 'count_resolved'
    ),
} %}

measured as (
    {%- for measure, (source, value, count) in values.items() %}
        select
            month_on,
            '{{ measure }}' as measure,
            {{ value }} as actual,
            cast({{ count }} as bigint) as count_basis
        from {{ source }}
        union all
    {%- endfor %}
    select
        money_windows.month_on,
        'clv_to_acquisition_cost' as measure,
        cast(
            money_windows.acquired_margin_amount - money_windows.acquired_cost_amount as double
        ) / nullif(money_windows.acquisition_to_date_amount, 0) as actual,
        acquired_months.count_acquired as count_basis
    from money_windows
    inner join acquired_months on money_windows.month_on = acquired_months.month_on
    union all
    select
        money_windows.month_on,
        'expected_clv_to_acquisition_cost' as measure,
        {{ mean_of('expected_months.expected_value_amount', 'expected_months.count_valued') }}
        / nullif(
            {{ mean_of('money_windows.acquisition_cost_amount', 'money_windows.count_new') }}, 0
        ) as actual,
        expected_months.count_valued as count_basis
    from money_windows
    inner join expected_months on money_windows.month_on = expected_months.month_on
),

-- what a measure needs: a feed, a past, enough to count. Amounts count products, which say nothing
-- of how sure they are
explained as (
    select
        windows.month_on,
        windows.state_on,
        measures.*,
        scorecard_rules.steady_share,
        measured.actual,
        coalesce(measured.count_basis, 0) as count_basis,
        {{ add_days(add_months('windows.month_on', 1), -1) }} <= {{ as_of_date() }} as is_complete,
        case
            when
                case
                    when measures.measure in ('nps', 'csat') then known_feeds.has_surveys
                    when measures.measure = 'complaint_days' then known_feeds.has_complaints
                    when
                        measures.measure in (
                            'acquisition_cost', 'clv_to_acquisition_cost',
                            'expected_clv_to_acquisition_cost', 'cost_to_serve_rate'
                        )
                        then known_feeds.has_customer_costs
                    when measures.measure in ('win_rate', 'lost_to_market_share')
                        then known_feeds.has_opportunities
                    when measures.measure = 'price_to_market'
                        then known_feeds.has_market_prices
                    when measures.measure = 'collection_rate' then known_feeds.has_payments
                    else true
                end
                then
                    case
                        when
                            measures.measure = 'expected_clv_to_acquisition_cost'
                            and windows.month_on < {{ month_start(as_of_date()) }}
                            then 'as_of_only'
                        when
                            measures.measure in (
                                'repeat_purchase_rate', 'acquisition_cost', 'cost_to_serve_rate',
                                'expected_clv_to_acquisition_cost'
                            )
                            and windows.window_from_on < windows.first_order_month_on
                            then 'books_too_young'
                        -- whoever bought in the books' first month may have been a customer before
                        when
                            measures.measure
                            in ('acquisition_cost', 'expected_clv_to_acquisition_cost')
                            and windows.window_from_on = windows.first_order_month_on
                            then 'books_too_young'
                        when
                            measures.measure = 'retention_rate'
                            and {{ add_months('windows.window_from_on', -12) }}
                            < windows.first_order_month_on
                            then 'books_too_young'
                        when measured.actual is null then 'nothing_yet'
                        when
                            measures.measure not in (
                                'sales_growth', 'sales_change', 'price_effect', 'volume_effect',
                                'mix_effect', 'unweighed_effect', 'price_to_market'
                            )
                            and measured.count_basis < scorecard_rules.min_count
                            then 'too_few'
                        else 'known'
                    end
            else 'no_feed'
        end as status_reason
    from windows
    cross join measures
    cross join scorecard_rules
    cross join known_feeds
    left join measured
        on windows.month_on = measured.month_on and measures.measure = measured.measure
),

known_values as (
    select
        explained.*,
        case when status_reason = 'known' then actual end as known_actual,
        targets.target_value,
        targets.watch_value
    from explained
    left join targets
        on
            explained.measure = targets.measure
            and explained.state_on >= targets.valid_from
            and (targets.valid_to is null or explained.state_on < targets.valid_to)
),

-- a target above its watch bound says that more is better
compared as (
    select
        known_values.*,
        lag(known_actual) over (partition by measure order by month_on) as previous,
        lag(known_actual, 12) over (partition by measure order by month_on) as year_before,
        not is_complete
        and measure in (
            {%- for measure in month_sums %}
                '{{ measure }}'{{ ',' if not loop.last }}
            {%- endfor %}
        ) as is_partial_sum,
        case
            when target_value is null or watch_value is null or target_value = watch_value then null
            when target_value > watch_value then 1
            else -1
        end as direction
    from known_values
),

judged as (
    select
        compared.*,
        case
            when known_actual is null or previous is null or is_partial_sum then 'unknown'
            when abs(known_actual - previous) <= steady_share * abs(previous) then 'steady'
            when known_actual > previous then 'rising'
            else 'falling'
        end as trend,
        case
            when known_actual is null or direction is null or is_partial_sum then 'unknown'
            when known_actual * direction >= target_value * direction then 'good'
            when known_actual * direction >= watch_value * direction then 'watch'
            else 'bad'
        end as status,
        case
            when status_reason = 'known' and direction is null then 'no_target'
            when status_reason = 'known' and is_partial_sum then 'month_running'
            else status_reason
        end as reason
    from compared
),

final as (
    select
        judged.month_on,
        judged.measure,
        judged.state_on,
        judged.is_complete,
        cast(judged.measure_order as integer) as measure_order,
        judged.label_en as measure_label_en,
        judged.label_zh as measure_label_zh,
        judged.unit,
        {{ reporting_currency() }} as currency,
        cast(judged.target_value as double) as target_value,
        cast(judged.watch_value as double) as watch_value,
        judged.known_actual as actual,
        judged.previous,
        judged.year_before,
        judged.trend,
        case
            when judged.direction is null or judged.trend = 'unknown' then null
            else
                judged.trend <> 'steady'
                and (judged.trend = 'rising') = (judged.direction = 1)
        end as is_improving,
        judged.status,
        statuses.label_en as status_label_en,
        statuses.label_zh as status_label_zh,
        judged.reason as status_reason,
        reasons.label_en as status_reason_label_en,
        reasons.label_zh as status_reason_label_zh,
        cast(judged.count_basis as integer) as count_basis,
        judged.sentence_en as definition_en,
        judged.sentence_zh as definition_zh
    from judged
    left join status_texts as statuses
        on judged.status = statuses.code and statuses.area = 'scorecard_status'
    left join status_texts as reasons
        on judged.reason = reasons.code and reasons.area = 'scorecard_reason'
)

select * from final
