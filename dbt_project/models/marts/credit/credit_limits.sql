{%- set this_month = month_start(as_of_date()) %}

with customers as (
    select * from {{ ref('dim_customers') }}
),

credit_exposures as (
    select * from {{ ref('credit_exposures') }}
),

exposure_items as (
    select * from {{ ref('int_exposure_items') }}
),

credit_scores as (
    select * from {{ ref('credit_scores') }}
),

orders as (
    select * from {{ ref('fct_orders') }}
    where not is_cancelled
),

parameters as (
    select
        {%- for name in [
            'need_sales_months', 'need_order_months', 'sales_window_months', 'net_worth_rate',
            'working_capital_rate', 'rounding_step', 'change_rate',
        ] %}
            max(value) filter (where parameter = '{{ name }}') as {{ name }}
            {{- ',' if not loop.last }}
    {%- endfor %}
    from {{ ref('credit_limit_parameters') }}
    where {{ is_in_force() }}
),

limit_grades as (
    select * from {{ ref('credit_limit_grades') }}
    where {{ is_in_force() }}
),

group_limits as (
    select * from {{ ref('credit_group_limits') }}
    where {{ is_in_force() }}
),

limit_reasons as (
    select * from {{ ref('credit_limit_reasons') }}
    where {{ is_in_force() }}
),

code_labels as (
    select * from {{ ref('code_labels') }}
    where {{ is_in_force() }}
),

windows as (
    select
        *,
        {{ add_months(as_of_date(), '-cast(sales_window_months as integer)') }} as window_from_on
    from parameters
),

sales as (
    select
        orders.customer_id,
        {{ sum_amount(
            'case when orders.ordered_on > windows.window_from_on then orders.gross_amount end'
        ) }} as sales_amount,
        -- a customer of three months has an average of three months; the month that runs counts
        -- with its days, so that its first day takes no third off the average of two
        least(
            greatest(
                {{ months_between('min(orders.ordered_on)', as_of_date()) }}
                + cast(extract(day from {{ as_of_date() }}) as double)
                / {{ days_between(this_month, add_months(this_month, 1)) }},
                1
            ),
            max(cast(windows.sales_window_months as integer))
        ) as sales_months
    from orders
    cross join windows
    group by orders.customer_id
),

-- whoever may pay after 60 days owes two months of sales before it is late, and orders meanwhile
need_months as (
    select
        customers.customer_id,
        greatest(
            parameters.need_sales_months,
            parameters.need_order_months + coalesce(customers.payment_terms_days, 0) / 30.0
        ) as need_months
    from customers
    cross join parameters
),

needs as (
    select
        customers.customer_id,
        customers.group_key,
        customers.credit_limit_amount,
        customers.net_worth_amount,
        customers.working_capital_amount,
        credit_scores.grade,
        limit_grades.label_en as grade_text_en,
        limit_grades.label_zh as grade_text_zh,
        limit_grades.need_factor,
        limit_grades.cap_factor,
        cast(ceil(sales.sales_months) as integer) as count_sales_months,
        need_months.need_months,
        -- decimals divide as doubles: six decimals bring an exact half back before it is rounded
        coalesce(
            {{ to_amount('cast(sales_amount / sales_months as decimal(28, 6))') }}, 0
        ) as average_monthly_sales_amount,
        coalesce(
            {{ to_amount(
                'cast(sales_amount * need_months / sales_months as decimal(28, 6))'
            ) }},
            0
        ) as need_amount,
        {{ amount_times('net_worth_amount', 'net_worth_rate') }}
            as net_worth_cap_amount,
        {{ amount_times('working_capital_amount', 'working_capital_rate') }}
            as working_capital_cap_amount,
        parameters.*
    from customers
    cross join parameters
    inner join need_months on customers.customer_id = need_months.customer_id
    left join credit_scores on customers.customer_id = credit_scores.customer_id
    inner join limit_grades on coalesce(credit_scores.grade, 'none') = limit_grades.grade
    left join sales on customers.customer_id = sales.customer_id
),

bounds as (
    select
        *,
        {{ amount_times('need_amount', 'need_factor') }} as need_bound_amount,
        {{ amount_times('net_worth_cap_amount', 'cap_factor') }}
            as net_worth_bound_amount,
        {{ amount_times('working_capital_cap_amount', 'cap_factor') }}
            as working_capital_bound_amount
    from needs
),

-- a cap that is not known does not bind
lowest_bounds as (
    select
        *,
        least(
            need_bound_amount,
            coalesce(net_worth_bound_amount, need_bound_amount),
            coalesce(working_capital_bound_amount, need_bound_amount)
        ) as bound_amount
    from bounds
),

recommended as (
    select
        *,
        -- whoever owes more than it owns gets no credit
        cast(
            floor(greatest(bound_amount, 0) / rounding_step) * rounding_step as decimal(18, 2)
        ) as recommended_limit_amount,
        case
            when need_factor = 0 then 'grade'
            when need_amount <= 0 then 'no_sales'
            when net_worth_bound_amount = bound_amount and bound_amount < need_bound_amount
                then 'net_worth'
            when working_capital_bound_amount = bound_amount and bound_amount < need_bound_amount
                then 'working_capital'
            when net_worth_amount is null and working_capital_amount is null
                then 'need_without_statements'
            else 'need'
        end as reason_code
    from lowest_bounds
),

-- today's pieces, the oldest first: with which of them the limit was passed
running_items as (
    select
        exposure_items.customer_id,
        exposure_items.item_on,
        sum(exposure_items.counted_amount) over (
            partition by exposure_items.customer_id
            order by
                exposure_items.item_on asc, exposure_items.item_id asc,
                exposure_items.component asc
            rows between unbounded preceding and current row
        ) - credit_exposures.prepayments_applied_amount as running_amount
    from exposure_items
    inner join credit_exposures on exposure_items.customer_id = credit_exposures.customer_id
    where exposure_items.component <> 'credit'
),

passed_limits as (
    select
        running_items.customer_id,
        min(running_items.item_on) as over_limit_since_on
    from running_items
    inner join customers on running_items.customer_id = customers.customer_id
    where running_items.running_amount > customers.credit_limit_amount
    group by running_items.customer_id
),

group_totals as (
    select
        customers.group_key,
        count(*) as count_members,
        count(*) - count(customers.credit_limit_amount) as count_members_without_limit,
        sum(customers.credit_limit_amount) as limit_amount,
        sum(credit_exposures.exposure_amount) as exposure_amount,
        sum(credit_exposures.exposure_amount) filter (
            where customers.credit_limit_amount is not null
        ) as limited_exposure_amount
    from customers
    inner join credit_exposures on customers.customer_id = credit_exposures.customer_id
    group by customers.group_key
),

groups as (
    select
        group_totals.group_key,
        group_totals.count_members,
        group_totals.count_members_without_limit,
        group_totals.exposure_amount,
        coalesce(group_limits.limit_amount, group_totals.limit_amount) as limit_amount,
        -- a limit that is not known is not zero: who has none is not held against the others'
        case
            when group_limits.group_key is not null then group_totals.exposure_amount
            else group_totals.limited_exposure_amount
        end as counted_exposure_amount,
        case
            when group_limits.group_key is not null then 'own'
            when group_totals.limit_amount is not null then 'sum_of_members'
            else 'none'
        end as limit_basis
    from group_totals
    left join group_limits on group_totals.group_key = group_limits.group_key
),

compared as (
    select
        recommended.*,
        credit_exposures.exposure_amount,
        case
            when recommended.credit_limit_amount is null then 'no_limit'
            when recommended.credit_limit_amount = 0 then 'no_credit'
            else 'known'
        end as limit_status,
        case
            when recommended.reason_code = 'grade' then 'stop'
            when recommended.reason_code = 'no_sales' and recommended.credit_limit_amount > 0
                then 'withdraw'
            when
                recommended.credit_limit_amount is null
                and recommended.recommended_limit_amount > 0
                then 'set'
            when recommended.credit_limit_amount is null then 'none'
            when
                abs(recommended.recommended_limit_amount - recommended.credit_limit_amount)
                <= cast(recommended.credit_limit_amount as double) * recommended.change_rate
                then 'keep'
            when recommended.recommended_limit_amount > recommended.credit_limit_amount
                then 'raise'
            else 'lower'
        end as advice,
        groups.count_members,
        groups.count_members_without_limit,
        groups.limit_amount as group_limit_amount,
        groups.limit_basis as group_limit_basis,
        groups.exposure_amount as group_exposure_amount,
        groups.counted_exposure_amount as group_counted_amount
    from recommended
    inner join credit_exposures on recommended.customer_id = credit_exposures.customer_id
    inner join groups on recommended.group_key = groups.group_key
),

-- in two steps: the parsers of SQL do not follow sixteen at once
half_told as (
    select
        compared.customer_id,
        limit_reasons.label_en as reason_label_en,
        limit_reasons.label_zh as reason_label_zh,
    {%- for language in ['en', 'zh'] %}
        {{ fill_in('limit_reasons.reason_' ~ language, {
            'need_months': replace_pattern(
                'cast(cast(compared.need_months as decimal(9, 2)) as ' ~ dbt.type_string() ~ ')',
                '\\.?0+$',
                ''
            ),
            'window_months': as_whole('compared.sales_window_months'),
            'sales': as_money('compared.average_monthly_sales_amount'),
            'need_factor': 'cast(compared.need_factor as decimal(9, 2))',
            'cap_factor': 'cast(compared.cap_factor as decimal(9, 2))',
            'net_worth_percent': with_decimal_if_any('100 * compared.net_worth_rate'),
            'working_capital_percent':
                with_decimal_if_any('100 * compared.working_capital_rate'),
            'grade': 'compared.grade_text_' ~ language,
            'currency': reporting_currency(),
        }, is_whole=false) }} as reason_{{ language }}{{ ',' if not loop.last }}
    {%- endfor %}
    from compared
    inner join limit_reasons on compared.reason_code = limit_reasons.reason_code
),

final as (
    select
        compared.customer_id,
        {{ reporting_currency() }} as currency,
        {{ as_of_date() }} as as_of,
        compared.grade,
        compared.exposure_amount,
        compared.limit_status,
        status_labels.label_en as limit_status_label_en,
        status_labels.label_zh as limit_status_label_zh,
        compared.credit_limit_amount,
        {{ mean_of('compared.exposure_amount', 'compared.credit_limit_amount') }}
            as utilisation_rate,
        cast(compared.credit_limit_amount - compared.exposure_amount as decimal(18, 2))
            as headroom_amount,
        compared.exposure_amount > compared.credit_limit_amount as is_breached,
        passed_limits.over_limit_since_on,
        compared.average_monthly_sales_amount,
        compared.count_sales_months,
        cast(compared.need_months as double) as need_months,
        compared.need_amount,
        compared.net_worth_cap_amount,
        compared.working_capital_cap_amount,
        cast(compared.need_factor as double) as need_factor,
        cast(compared.cap_factor as double) as cap_factor,
        compared.recommended_limit_amount,
        compared.reason_code,
        half_told.reason_label_en,
        half_told.reason_label_zh,
        {%- for language, unknown in {'en': ", 'not known')", 'zh': ", '未知')"}.items() %}
        {{ fill_in('half_told.reason_' ~ language, {
            'net_worth': as_money('compared.net_worth_amount'),
            'working_capital': as_money('compared.working_capital_amount'),
            'net_worth_cap':
                'coalesce(' ~ as_money('compared.net_worth_bound_amount') ~ unknown,
            'working_capital_cap':
                'coalesce(' ~ as_money('compared.working_capital_bound_amount') ~ unknown,
            'need': as_money('compared.need_bound_amount'),
            'bound': as_money('compared.bound_amount'),
            'limit': as_grouped('compared.recommended_limit_amount'),
        }) }} as reason_{{ language }},
        {%- endfor %}
        compared.advice,
        advice_labels.label_en as advice_label_en,
        advice_labels.label_zh as advice_label_zh,
        compared.group_key,
        cast(compared.count_members as integer) as count_group_members,
        cast(compared.count_members_without_limit as integer)
            as count_group_members_without_limit,
        compared.group_limit_basis,
        cast(compared.group_limit_amount as decimal(18, 2)) as group_limit_amount,
        cast(compared.group_exposure_amount as decimal(18, 2)) as group_exposure_amount,
        cast(compared.group_counted_amount as decimal(18, 2)) as group_counted_exposure_amount,
        {{ mean_of('compared.group_counted_amount', 'compared.group_limit_amount') }}
            as group_utilisation_rate,
        cast(compared.group_limit_amount - compared.group_counted_amount as decimal(18, 2))
            as group_headroom_amount,
        compared.group_counted_amount > compared.group_limit_amount as is_group_breached,
        cast(
            case
                -- the others' limits are not this member's
                when
                    compared.credit_limit_amount is null
                    and compared.group_limit_basis = 'sum_of_members'
                    then null
                when compared.credit_limit_amount is null
                    then compared.group_limit_amount - compared.group_counted_amount
                else
                    least(
                        compared.credit_limit_amount - compared.exposure_amount,
                        coalesce(
                            compared.group_limit_amount - compared.group_counted_amount,
                            compared.credit_limit_amount - compared.exposure_amount
                        )
                    )
            end as decimal(18, 2)
        ) as effective_headroom_amount
    from compared
    inner join half_told on compared.customer_id = half_told.customer_id
    inner join code_labels as status_labels
        on compared.limit_status = status_labels.code and status_labels.domain = 'limit_status'
    inner join code_labels as advice_labels
        on compared.advice = advice_labels.code and advice_labels.domain = 'limit_advice'
    left join passed_limits on compared.customer_id = passed_limits.customer_id
)

select * from final
