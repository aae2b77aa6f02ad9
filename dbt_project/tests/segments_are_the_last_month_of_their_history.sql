-- Every class of today is the class of the last month, for every customer.
{%- set columns = [
    'customer_id', 'recency_score', 'frequency_score', 'monetary_score', 'rfm_segment',
    'abc_class', 'abc_revenue_class', 'lifecycle', 'value_tier', 'growth_class',
    'revenue_12_months_amount', 'margin_12_months_amount',
] %}

with segments as (
    select as_of as state_on, {{ columns | join(', ') }} from {{ ref('customer_segments') }}
),

last_months as (
    select state_on, {{ columns | join(', ') }} from {{ ref('customer_segment_history') }}
    where month_on = {{ month_start(as_of_date()) }}
),

only_today as (
    select * from segments
    except
    select * from last_months
),

only_in_history as (
    select * from last_months
    except
    select * from segments
)

select * from only_today
union all
select * from only_in_history
