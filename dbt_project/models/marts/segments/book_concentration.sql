{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed_months() }}",
) }}
-- depends_on: {{ ref('int_months_changed') }}

{%- set measures = {'revenue_12_months': 'abc_revenue_class', 'margin_12_months': 'abc_class'} %}

with history as (
    select * from {{ ref('customer_segment_history') }}
    where {{ where_month_changed() }}
),

-- what brings nothing or a loss has no share of the whole; which of equals comes first changes no
-- sum below. Each measure ranks on its own: a sort by its long name as well takes twice as long
ranked_amounts as (
    {%- for measure, class in measures.items() %}
        select
            month_on,
            state_on,
            '{{ measure }}' as measure,
            {{ class }} as abc_class,
            cast(greatest({{ measure }}_amount, 0) as decimal(18, 2)) as amount,
            row_number() over (
                partition by month_on order by greatest({{ measure }}_amount, 0) desc
            ) as rank_no
        from history
        where {{ measure }}_amount is not null
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- exact sums; the only divisions are the last ones
month_totals as (
    select
        month_on,
        state_on,
        measure,
        count(*) filter (where amount > 0) as count_customers,
        sum(amount) as total_amount,
        sum({{ factor('amount') }} * {{ factor('amount') }}) as sum_of_squares,
        sum(amount) filter (where rank_no <= 1) as top_1_amount,
        sum(amount) filter (where rank_no <= 5) as top_5_amount,
        sum(amount) filter (where rank_no <= 10) as top_10_amount,
        -- the ranks count from the largest: those of no amount weigh nothing
        sum(rank_no * amount) as rank_weighted_amount,
        count(*) filter (where amount > 0 and abc_class = 'A') as count_a,
        count(*) filter (where amount > 0 and abc_class = 'B') as count_b,
        count(*) filter (where amount > 0 and abc_class = 'C') as count_c
    from ranked_amounts
    group by month_on, state_on, measure
),

final as (
    select
        month_on,
        measure,
        state_on,
        {{ reporting_currency() }} as currency,
        cast(count_customers as integer) as count_customers,
        cast(total_amount as decimal(18, 2)) as total_amount,
        case
            when total_amount > 0
                then
                    10000 * cast(sum_of_squares as double)
                    / (cast(total_amount as double) * cast(total_amount as double))
        end as hhi,
        case
            when total_amount > 0
                then
                    cast(
                        (count_customers + 1) * total_amount - 2 * rank_weighted_amount as double
                    ) / cast(count_customers * total_amount as double)
        end as gini,
        {{ mean_of('top_1_amount', 'total_amount') }} as top_1_share,
        {{ mean_of('top_5_amount', 'total_amount') }} as top_5_share,
        {{ mean_of('top_10_amount', 'total_amount') }} as top_10_share,
        cast(count_a as integer) as count_a,
        cast(count_b as integer) as count_b,
        cast(count_c as integer) as count_c
    from month_totals
)

select * from final
