"""A small, believable `marts.duckdb` with the released marts' columns, and its manifest.

Facts are drawn from a seeded generator; every aggregate mart is then computed from the facts in
SQL, so that the tests can compare the report with the database by queries of their own.
"""

from __future__ import annotations

import csv
import random
import tempfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

AS_OF = date(2026, 11, 20)
FIRST_DAY = date(2023, 10, 3)
HOSTILE_NAME = "<script>alert('x')</script> & Söhne"
# A customer that stops ordering: on the list of those who slip away.
HOSTILE_SILENT = '"><img src=x onerror=alert(1)> {{ 7 * 7 }}'
HOSTILE_GROUP = "<b>Group</b> & Co"
HOSTILE_PRODUCT = "<i>Coke</i> {0}"

_NAMES = (
    ("华北电力燃料有限公司", "power"),
    ("Baltic Steelworks AB", "steel"),
    ("江海水泥集团股份有限公司", "cement"),
    ("Northgate Chemicals Ltd", "chemical"),
    ("晋能煤炭贸易有限公司", "trader"),
    ("Orient Power & Heat", "power"),
    ("长河钢铁有限责任公司", "steel"),
    ("Delta Cement PLC", "cement"),
    ("宏源化工", "chemical"),
    ("Riverside Trading Co.", "trader"),
)

_SCHEMA = """
create table dim_customers (
    customer_id varchar, customer_name varchar, legal_id varchar, group_id varchar,
    industry varchar, size_class varchar, region varchar, customer_type varchar,
    account_manager varchar, payment_terms_days integer, credit_limit_amount decimal(18, 2),
    onboarded_on date, first_ordered_on date, last_ordered_on date, is_derived boolean
);
create table fct_orders (
    order_id varchar, customer_id varchar, source_customer_id varchar, ordered_at timestamp,
    ordered_on date, order_month date, status varchar, is_cancelled boolean, sale_type varchar,
    channel varchar, contract_id varchar, currency varchar, document_currency varchar,
    fx_rate decimal(18, 8), count_lines integer, weight_tonnes decimal(18, 4),
    revenue_amount decimal(18, 2), discount_amount decimal(18, 2), tax_amount decimal(18, 2),
    gross_amount decimal(18, 2), cost_amount decimal(18, 2), margin_amount decimal(18, 2)
);
create table fct_invoices (
    invoice_id varchar, order_id varchar, customer_id varchar, source_customer_id varchar,
    invoiced_on date, due_on date, due_on_source varchar, kind varchar, currency varchar,
    document_currency varchar, fx_rate decimal(18, 8), document_amount decimal(18, 2),
    invoice_amount decimal(18, 2), tax_amount decimal(18, 2), is_disputed boolean,
    is_derived boolean, open_amount decimal(18, 2)
);
create table fct_payments (
    payment_id varchar, customer_id varchar, source_customer_id varchar, received_at timestamp,
    received_on date, settled_on date, kind varchar, method varchar, currency varchar,
    document_currency varchar, fx_rate decimal(18, 8), document_amount decimal(18, 2),
    payment_amount decimal(18, 2), reference varchar, order_id varchar, bill_no varchar,
    bill_matures_on date, bill_status varchar
);
create table fct_survey_responses (
    response_id varchar, question_code varchar, customer_id varchar, order_id varchar,
    survey_id varchar, answered_at timestamp, answered_on date, score decimal(9, 2),
    scale_min decimal(9, 2), scale_max decimal(9, 2), score_rate decimal(9, 6),
    importance decimal(9, 2), urgency decimal(9, 2), need_type varchar, comment_text varchar,
    measure varchar
);
create table conservation_ledger (
    feed varchar, currency varchar, batch_id varchar, release_sequence integer,
    count_rows_pulled bigint, count_rows_accepted bigint, count_rows_quarantined bigint,
    count_rows_duplicate bigint, count_rows_superseded bigint, count_rows_held bigint,
    source_rows bigint, pulled_amount decimal(38, 2), accepted_amount decimal(38, 2),
    quarantined_amount decimal(38, 2), duplicate_amount decimal(38, 2),
    superseded_amount decimal(38, 2), held_amount decimal(38, 2), source_amount decimal(38, 2)
);
create table quarantine_summary (
    feed varchar, rule varchar, owner varchar, count_rows integer, amount decimal(38, 2),
    currency varchar, count_currencies integer, oldest_first_seen_at timestamp,
    count_rows_closed integer
);
"""

# The scores are cut at fixed shares: enough to give every segment some customers.
_DERIVED = """
create table fct_customer_months as
with moves as (
    select customer_id, order_month as month_on, revenue_amount, margin_amount, cost_amount,
        0 as invoiced_amount, 0 as cash_in_amount, 1 as count_orders
    from fct_orders where not is_cancelled and currency = 'CNY'
    union all
    select customer_id, date_trunc('month', invoiced_on)::date, 0, null, null, invoice_amount, 0, 0
    from fct_invoices where currency = 'CNY'
    union all
    select customer_id, date_trunc('month', settled_on)::date, 0, null, null, 0, payment_amount, 0
    from fct_payments where currency = 'CNY' and settled_on <= $as_of
)
select
    customer_id,
    month_on,
    'CNY' as currency,
    sum(count_orders)::integer as count_orders,
    sum(revenue_amount)::decimal(18, 2) as revenue_amount,
    sum(cost_amount)::decimal(18, 2) as cost_amount,
    sum(margin_amount)::decimal(18, 2) as margin_amount,
    sum(invoiced_amount)::decimal(18, 2) as invoiced_amount,
    sum(cash_in_amount)::decimal(18, 2) as cash_in_amount,
from moves
group by all;

create table customer_segments as
with gaps as (
    select
        customer_id,
        date_diff('day', lag(ordered_on) over by_day, ordered_on) as gap_days,
    from fct_orders
    where not is_cancelled
    window by_day as (partition by customer_id order by ordered_on)
),
rhythms as (
    select customer_id, quantile_cont(gap_days, 0.95) as gap_p95_days
    from gaps
    group by customer_id
    having count(gap_days) >= 5
),
totals as (
    select
        customers.customer_id,
        any_value(customers.industry) as industry,
        count(orders.order_id) as count_orders,
        sum(orders.revenue_amount)::decimal(18, 2) as revenue_amount,
        sum(orders.margin_amount)::decimal(18, 2) as margin_amount,
        date_diff('day', max(orders.ordered_on), $as_of) as recency_days,
        coalesce(
            sum(orders.revenue_amount) filter (
                where orders.order_month > date_trunc('month', $as_of) - interval 12 month
            ), 0
        )::decimal(18, 2) as revenue_12_months_amount,
    from dim_customers as customers
    left join fct_orders as orders
        on orders.customer_id = customers.customer_id and not orders.is_cancelled
    group by customers.customer_id
),
ranked as (
    select
        *,
        cume_dist() over (order by revenue_amount desc nulls last, customer_id) as top_share,
    from totals
)
select
    customer_id,
    $as_of as as_of,
    'CNY' as currency,
    recency_days,
    count_orders,
    revenue_amount,
    margin_amount,
    case when count_orders = 0 then null
        when recency_days > 200 then 'lost'
        when recency_days > 60 then 'cannot_lose'
        when top_share <= 0.25 then 'champions'
        when top_share <= 0.6 then 'loyal'
        else 'potential_loyal' end as rfm_segment,
    case rfm_segment when 'champions' then 'Champions' when 'loyal' then 'Loyal customers'
        when 'potential_loyal' then 'Potential loyal customers' when 'lost' then 'Lost'
        when 'cannot_lose' then 'Cannot lose them' end as rfm_segment_label_en,
    case rfm_segment when 'champions' then '冠军客户' when 'loyal' then '忠诚客户'
        when 'potential_loyal' then '潜在忠诚客户' when 'lost' then '已流失客户'
        when 'cannot_lose' then '不可失去的客户' end as rfm_segment_label_zh,
    case when count_orders = 0 then null when top_share <= 0.3 then 'A'
        when top_share <= 0.6 then 'B' else 'C' end as abc_class,
    case when count_orders = 0 then 'potential' when recency_days <= 60 then 'active'
        when recency_days <= 200 then 'at_risk' else 'lost' end as lifecycle,
    case lifecycle when 'potential' then 'Potential' when 'active' then 'Active'
        when 'at_risk' then 'At risk' else 'Lost' end as lifecycle_label_en,
    case lifecycle when 'potential' then '潜在' when 'active' then '活跃'
        when 'at_risk' then '风险' else '流失' end as lifecycle_label_zh,
    'Silent for ' || recency_days || ' days' as lifecycle_reason_en,
    '已 ' || recency_days || ' 天未下单' as lifecycle_reason_zh,
    revenue_12_months_amount,
    gap_p95_days,
    recency_days > gap_p95_days as is_silent_by_rhythm,
    industry,
from ranked
left join rhythms using (customer_id);

create table receivables_ageing as
with documents as (
    select customer_id, currency, 'invoice_date' as ageing_basis, open_amount,
        date_diff('day', invoiced_on, $as_of) as days
    from fct_invoices where open_amount > 0
    union all
    select customer_id, currency, 'due_date', open_amount,
        greatest(date_diff('day', due_on, $as_of), 0)
    from fct_invoices where open_amount > 0
),
buckets (ageing_basis, bucket_order, bucket_code, days_from, days_to, label_en, label_zh) as (
    values
        ('invoice_date', 1, '0_30', 0, 30, '0 to 30 days', '0至30天'),
        ('invoice_date', 2, '31_60', 31, 60, '31 to 60 days', '31至60天'),
        ('invoice_date', 3, '61_90', 61, 90, '61 to 90 days', '61至90天'),
        ('invoice_date', 4, '91_180', 91, 180, '91 to 180 days', '91至180天'),
        ('invoice_date', 5, '181_365', 181, 365, '181 to 365 days', '181至365天'),
        ('invoice_date', 6, '1_2y', 366, 9999, '1 to 2 years', '1至2年'),
        ('due_date', 1, 'not_due', 0, 0, 'Not due', '未到期'),
        ('due_date', 2, '1_30', 1, 30, '1 to 30 days overdue', '逾期1至30天'),
        ('due_date', 3, '31_60', 31, 60, '31 to 60 days overdue', '逾期31至60天'),
        ('due_date', 4, '61_90', 61, 90, '61 to 90 days overdue', '逾期61至90天'),
        ('due_date', 5, '91_180', 91, 180, '91 to 180 days overdue', '逾期91至180天'),
        ('due_date', 6, '181_365', 181, 9999, '181 to 365 days overdue', '逾期181至365天')
)
select
    customer_id,
    $as_of as as_of,
    currency,
    ageing_basis,
    bucket_code,
    label_en as bucket_label_en,
    label_zh as bucket_label_zh,
    bucket_order,
    sum(open_amount)::decimal(18, 2) as open_amount,
    count(*)::integer as count_documents,
from documents
inner join buckets using (ageing_basis)
where days between days_from and days_to
group by all;

create table customer_360 as
select
    customers.customer_id,
    $as_of as as_of,
    'CNY' as currency,
    coalesce(sum(invoices.open_amount), 0)::decimal(18, 2) as open_amount,
    coalesce(
        sum(invoices.open_amount) filter (where invoices.due_on < $as_of), 0
    )::decimal(18, 2) as overdue_amount,
    max(date_diff('day', invoices.due_on, $as_of)) filter (
        where invoices.due_on < $as_of and invoices.open_amount > 0
    ) as oldest_overdue_days,
    case when customers.customer_id = 'C002' then 12500 else 0 end::decimal(18, 2)
        as unapplied_cash_amount,
from dim_customers as customers
left join fct_invoices as invoices
    on invoices.customer_id = customers.customer_id and invoices.currency = 'CNY'
group by customers.customer_id;
"""

# What the sections for sales read; the rules are simpler than the marts', the columns are theirs.
_SALES = """
create table customer_segment_history as
with months as (
    select
        unnest(generate_series(
            (select min(order_month) from fct_orders), date_trunc('month', $as_of), interval 1 month
        ))::date as month_on,
),
states as (
    select
        customers.customer_id,
        months.month_on,
        least(last_day(months.month_on), $as_of) as state_on,
        date_diff('day', min(orders.ordered_on), state_on) as tenure_days,
        date_diff('day', max(orders.ordered_on), state_on) as recency_days,
        coalesce(
            sum(orders.revenue_amount) filter (
                where orders.order_month > months.month_on - interval 12 month
            ), 0
        )::decimal(18, 2) as revenue_12_months_amount,
    from dim_customers as customers
    cross join months
    left join fct_orders as orders
        on orders.customer_id = customers.customer_id and not orders.is_cancelled
        and orders.ordered_on <= least(last_day(months.month_on), $as_of)
    group by customers.customer_id, months.month_on
)
select
    customer_id,
    month_on,
    state_on,
    'CNY' as currency,
    case when recency_days is null then 'potential' when tenure_days <= 90 then 'new'
        when recency_days <= 25 then 'active' when recency_days <= 60 then 'slowing'
        when recency_days <= 200 then 'at_risk' else 'lost' end as lifecycle,
    revenue_12_months_amount,
from states;

create table segment_migration as
with moves as (
    select
        history.month_on,
        coalesce(history_before.lifecycle, 'none') as from_class,
        history.lifecycle as to_class,
        count(*)::integer as count_customers,
        sum(history.revenue_12_months_amount)::decimal(18, 2) as revenue_12_months_amount,
    from customer_segment_history as history
    inner join customer_segment_history as history_before
        on history_before.customer_id = history.customer_id
        and history_before.month_on = history.month_on - interval 1 month
    group by all
)
select
    month_on,
    unnest(['lifecycle', 'value_tier']) as dimension,
    from_class,
    to_class,
    'CNY' as currency,
    'From ' || from_class as from_class_label_en,
    '原' || from_class as from_class_label_zh,
    'To ' || to_class as to_class_label_en,
    '现' || to_class as to_class_label_zh,
    count_customers,
    revenue_12_months_amount,
from moves;

create table book_concentration as
with shares as (
    select
        month_on,
        state_on,
        revenue_12_months_amount as amount,
        amount / sum(amount) over (partition by month_on) as share,
        row_number() over (partition by month_on order by amount desc) as place,
        row_number() over (partition by month_on order by amount) as place_up,
        count(*) over (partition by month_on) as count_all,
    from customer_segment_history
    where revenue_12_months_amount > 0
)
select
    month_on,
    unnest(['revenue_12_months', 'margin_12_months']) as measure,
    any_value(state_on) as state_on,
    'CNY' as currency,
    count(*)::integer as count_customers,
    sum(100 * share * 100 * share)::double
        * case measure when 'revenue_12_months' then 1 else 2 end as hhi,
    (2 * sum(place_up * share) / any_value(count_all)
        - (any_value(count_all) + 1) / any_value(count_all))::double as gini,
    (sum(share) filter (where place <= 5))::double as top_5_share,
from shares
group by month_on;

create table receivables_balances as
select
    customer_id,
    'CNY' as currency,
    sum(open_amount)::decimal(18, 2) as open_amount,
    coalesce(sum(open_amount) filter (where due_on < $as_of), 0)::decimal(18, 2) as overdue_amount,
from fct_invoices
group by customer_id;

create table strategic_accounts as
with shares as (
    select
        customer_id,
        case when customer_id in ('C001', 'C008') then 'G1' else customer_id end as group_key,
        revenue_12_months_amount as amount,
        amount / nullif(sum(amount) over (), 0) as share_of_revenue,
        row_number() over (order by amount desc, customer_id) as place,
    from customer_segments
)
select
    customer_id,
    'CNY' as currency,
    case when amount = 0 or place > 20 then 'screened_out' when place > 8 then 'assessed'
        else 'listed' end as stage_reached,
    case when stage_reached = 'assessed' then 'low_score' else stage_reached end as stage_reason,
    'Stage ' || stage_reason as stage_label_en,
    '阶段' || stage_reason as stage_label_zh,
    case when stage_reached <> 'screened_out' then place end::integer as score_rank,
    case when stage_reached <> 'screened_out' then 0.9 - place / 77 end::double as score,
    share_of_revenue::double as share_of_revenue,
    (sum(share_of_revenue) over (partition by group_key))::double as group_share_of_revenue,
    0.04::double as group_share_of_receivables,
    (amount / 30 - 500000)::decimal(18, 2) as value_by_income_amount,
    group_key,
    coalesce(group_share_of_revenue >= 0.1, false) as is_concentration_risk,
from shares;

create table strategic_weights as
select
    criterion as criterion,
    criterion_order,
    'Criterion ' || criterion as criterion_label_en,
    '指标' || criterion as criterion_label_zh,
    'What ' || criterion || ' is' as definition_en,
    criterion || '的定义' as definition_zh,
    ahp_weight::double as ahp_weight,
    entropy_weight::double as entropy_weight,
    count_customers,
    0.0107::double as consistency_ratio,
    0.1::double as consistency_ratio_limit,
from (
    values ('amount', 1, 0.5396, 0.2, 20), ('credit', 2, 0.297, 0.8, 20),
        ('influence', 3, 0.1634, null, 1)
) as weights (criterion, criterion_order, ahp_weight, entropy_weight, count_customers);

create table customer_groups as
select
    strategic_accounts.group_key,
    $hostile_group as group_name,
    count(*)::integer as count_customers,
    sum(balances.open_amount)::decimal(18, 2) as open_amount,
    sum(balances.overdue_amount)::decimal(18, 2) as overdue_amount,
from strategic_accounts
left join receivables_balances as balances using (customer_id)
where strategic_accounts.group_key = 'G1'
group by strategic_accounts.group_key;

create table customer_clv as
select
    customer_id,
    'CNY' as currency,
    case when customer_id < 'C003' then 'provisional' else 'expected' end as clv_status,
    'cost' as margin_basis,
    0.9::double - row_number() over (order by customer_id) / 100.0 as probability_alive,
    12.34::double as expected_purchases_12_months,
    value as expected_clv_12_months_amount,
    (value / 2)::decimal(18, 2) as expected_clv_12_months_low_amount,
    (value * 2)::decimal(18, 2) as expected_clv_12_months_high_amount,
    (value * 2.5)::decimal(18, 2) as expected_clv_36_months_amount,
from (
    select
        customer_id,
        case when customer_id <> 'C009'
            then (1000000.00 - 10000 * row_number() over (order by customer_id))::decimal(18, 2)
        end as value,
    from dim_customers
) as customers;

create table clv_model_runs as
select
    'clv_purchases_' || sale_type as model,
    sale_type,
    'MBG/NBD' as candidate_label_en,
    'MBG/NBD模型' as candidate_label_zh,
    'mbg_nbd' as candidate,
    sale_type = 'spot' as is_in_force,
    true as is_scoring,
    case sale_type when 'spot' then -0.051 end as bias_rate,
    case sale_type when 'spot' then 2.5 end as mae,
    3.5::double as naive_rate_mae,
    3.0::double as naive_silence_mae,
    case sale_type when 'spot' then 'Promoted: good' else 'Refused: <untested>' end as verdict_en,
    case sale_type when 'spot' then '启用:合格' else '不启用:未检验' end as verdict_zh,
from (values ('contract'), ('spot')) as types (sale_type)
union all
select
    'clv_margin_spot', 'spot', 'Shrunken mean', '收缩均值', 'shrunken_mean', false, true, -0.196,
    3577.3, null, null, 'Refused: margins too low', '不启用:毛利偏低';

create table crm_scorecard as
select
    months.month_on,
    months.is_complete,
    measures.* replace (
        case when measure <> 'clv_cac' or not months.is_complete then actual end as actual
    ),
    case
        when measure = 'clv_cac' and months.is_complete then 'as_of_only'
        when target_value is null then 'no_target'
        else 'known'
    end as status_reason,
    case status_reason when 'no_target' then 'Without a target' else 'Other' end
        as status_reason_label_en,
    case status_reason when 'no_target' then '未设目标' else '其他' end as status_reason_label_zh,
    'What ' || measure || ' is' as definition_en,
    measure || '的定义' as definition_zh,
from (
    values (date_trunc('month', $as_of)::date, false),
        ((date_trunc('month', $as_of) - interval 1 month)::date, true)
) as months (month_on, is_complete)
cross join (
    values
        (1, 'nps', 'NPS', '净推荐值', 'score', 30.0, 34.3, null, 'good', 'Good', '良好'),
        (2, 'rate', 'Collections', '回款率', 'rate', 0.6, 0.32, 0.4, 'bad', 'Bad', '不达标'),
        (3, 'change', 'Change', '变化', 'currency', null, 20901915.74, 5.0, 'unknown', 'Unknown',
            '未知'),
        (4, 'clv_cac', 'CLV:CAC', 'CLV:CAC', 'ratio', 3.0, 4.56, null, 'good', 'Good', '良好')
) as measures (
    measure_order, measure, measure_label_en, measure_label_zh, unit, target_value, actual,
    previous, status, status_label_en, status_label_zh
);

create table stage_conversion as
select
    *,
    95 as count_closed_of_member_12_months,
    11 as count_without_path_12_months,
from (
    values
        ('book', 'lead', 'Lead', '线索', 1, 0.9, 0.8, 0.95, 'Known', '已知', 11, 0.5),
        ('book', 'proposal', 'Proposal', '方案', 2, null, null, null, 'Not seen', '未见', null,
            null),
        ('account_manager', 'lead', 'Lead', '线索', 1, 0.1, 0.0, 0.2, 'Known', '已知', 1, 0.1)
) as stages (
    dimension, stage, stage_label_en, stage_label_zh, stage_place, conversion_rate,
    conversion_rate_low, conversion_rate_high, conversion_status_label_en,
    conversion_status_label_zh, median_days_in_stage, won_share
);

create table sales_pipeline as
select
    'lead' as stage,
    manager as account_manager,
    'CNY' as currency,
    4 as count_open,
    1500.00::decimal(18, 2) as open_amount,
    days as longest_days_in_stage,
from (values ('A', 7), ('B', null)) as managers (manager, days);

create table customer_actions as
select
    'collect:' || customer_id as action_id,
    customer_id,
    case when customer_id = 'C003' then 'visit' else 'collect' end as action_code,
    'CNY' as currency,
    'Collect' as action_label_en,
    '催收' as action_label_zh,
    'Owes <much>' as reason_en,
    '逾期' as reason_zh,
    'Call' as step_en,
    '致电' as step_zh,
    'Credit control' as owner_role_label_en,
    '信用管理' as owner_role_label_zh,
    account_manager,
    case when customer_id = 'C001' then $as_of - 3 else $as_of + 7 end as due_on,
    case when customer_id = 'C001' then 3 else 0 end as overdue_days,
    (1000 * row_number() over (order by customer_id))::decimal(18, 2) as expected_value_amount,
    customer_id = 'C001' as is_mandatory,
    case when customer_id = 'C002' then 'held_out' else 'selected' end as selection,
from dim_customers;

create table risk_register as
select
    customer_id,
    'CNY' as currency,
    row_number() over (order by customer_id)::integer as risk_rank,
    'Churn' as risk_label_en,
    '流失风险' as risk_label_zh,
    4 as risk_level,
    'Critical' as risk_level_label_en,
    '严重' as risk_level_label_zh,
    0.25::double as likelihood_rate,
    1000.00::decimal(18, 2) as impact_amount,
    250.00::decimal(18, 2) as expected_loss_amount,
    'Silent <long>' as driver_en,
    '久未下单' as driver_zh,
    'Visit' as response_en,
    '拜访' as response_zh,
    $as_of - 40 as due_on,
    40 as overdue_days,
from dim_customers;

create table cohort_retention as
with buyers as (
    select
        customer_id,
        min(month_on) as cohort_on,
        max(month_on) as last_month_on,
    from fct_customer_months
    where count_orders > 0
    group by customer_id
),
months as (
    select
        cohort_on,
        unnest(generate_series(cohort_on, date_trunc('month', $as_of), interval 1 month))::date
            as month_on,
    from (select distinct cohort_on from buyers)
)
select
    months.cohort_on,
    date_diff('month', months.cohort_on, months.month_on)::integer as months_since,
    months.month_on,
    'CNY' as currency,
    last_day(months.month_on) <= $as_of as is_complete,
    months.cohort_on = (select min(cohort_on) from buyers) as is_opening_cohort,
    count(*)::integer as count_customers,
    count(orders.customer_id)::integer as count_active,
    months_since = 0 or months.month_on <= $as_of - interval 180 day as is_survival_known,
    case when is_survival_known
        then count(*) filter (where buyers.last_month_on >= months.month_on) end::integer
        as count_ever_active_since,
from months
inner join buyers using (cohort_on)
left join fct_customer_months as orders
    on orders.customer_id = buyers.customer_id and orders.month_on = months.month_on
    and orders.count_orders > 0
group by months.cohort_on, months.month_on;

create table fct_order_lines as
select order_id, 1 as line_no from fct_orders;

create table customer_product_gaps as
select
    customer_id,
    'P1' as product_id,
    'CNY' as currency,
    replace($hostile_product, '{0}', customer_id) as product_name,
    (revenue_12_months_amount / 20)::decimal(18, 2) as expected_revenue_amount,
    '9 of 10 peers buy ' || product_name as reason_en,
    '10家同类客户中有9家购买' || product_name as reason_zh,
from customer_segments
where count_orders > 0 and revenue_12_months_amount > 0;

create table segment_profiles as
with classes as (
    select
        unnest(['lifecycle', 'industry']) as dimension,
        lifecycle as class_code,
        any_value(lifecycle_label_en) as class_label_en,
        any_value(lifecycle_label_zh) as class_label_zh,
        count(*)::integer as count_customers,
        sum(revenue_12_months_amount)::decimal(18, 2) as revenue_12_months_amount,
    from customer_segments
    group by lifecycle
)
select
    *,
    'CNY' as currency,
    count_customers < 10 as is_thin,
    (count_customers / sum(count_customers) over by_dimension)::double as share_of_customers,
    (revenue_12_months_amount
        / nullif(sum(revenue_12_months_amount) over by_dimension, 0))::double as share_of_revenue,
    share_of_revenue * 0.9 as share_of_margin,
    case when class_code <> 'potential' then 0.1234 end as margin_rate,
    case when class_code <> 'potential' then 17.25 end as gap_median_days,
    case when class_code <> 'potential' then 0.3456 end as overdue_rate,
    case when class_code = 'active' then 0.731 end as csat_score_rate_mean,
    case when class_code = 'active' then 1820 end as count_csat_answers,
    case when class_code = 'active' then -12.4 end as nps_score,
    case when class_code = 'active' then 364 end as count_nps_answers,
    case when class_code = 'active' then 3 else -1 end as count_customers_change,
from classes
window by_dimension as (partition by dimension);

-- an interval as the mart's own may be: no formula of the answers alone would give it
create table customer_satisfaction as
with answers as (
    select unnest(['book', 'customer']) as dimension, customer_id, score
    from fct_survey_responses
    where answered_on > $as_of - interval 1 year
)
select
    dimension,
    case when dimension = 'book' then 'all' else customer_id end as member,
    'nps' as measure,
    date_trunc('month', $as_of)::date as month_on,
    count(*)::integer as n_12_months,
    100.0 * (count(*) filter (where score >= 9) - count(*) filter (where score <= 6)) / count(*)
        as value_12_months,
    value_12_months - 9.4 as low_12_months,
    value_12_months + 8.1 as high_12_months,
    'Known' as status_label_en,
    '已知' as status_label_zh,
from answers
group by all;
"""


# What the credit section reads. As for sales: simpler rules, the marts' columns, and amounts that
# hang together (buckets and reviews make the receivables, movements the closing provision).
_CREDIT = """
create table provision_matrix as
with rates (bucket_code, rate, basis_en, basis_zh) as (
    values ('not_due', 0.005, 'Roll rates', '迁徙率'), ('1_30', 0.02, 'Roll rates', '迁徙率'),
        ('31_60', 0.1, 'Roll rates', '迁徙率'), ('61_90', 0.25, 'Judgement', '判断值'),
        ('91_180', 0.5, 'Judgement', '判断值'), ('181_365', 0.8, 'Judgement', '判断值')
)
select
    case when customer_id < 'C010' then 'trade' else 'related' end as provision_group,
    bucket_code,
    bucket_label_en,
    bucket_label_zh,
    bucket_order,
    currency,
    sum(open_amount)::decimal(18, 2) as gross_amount,
    sum(count_documents)::integer as count_claims,
    any_value(basis_en) as rate_basis_label_en,
    any_value(basis_zh) as rate_basis_label_zh,
    sum((open_amount * rate)::decimal(18, 2))::decimal(18, 2) as provision_amount,
from receivables_ageing
inner join rates using (bucket_code)
where ageing_basis = 'due_date' and customer_id not in ('C002', 'C004')
group by all;

create table expected_credit_loss as
select
    customer_id,
    currency,
    case customer_id when 'C002' then 'specific' when 'C004' then 'default' else 'general' end
        as provision_basis,
    open_amount as gross_amount,
    (open_amount * 0.6)::decimal(18, 2) as provision_amount,
    case when customer_id = 'C001' then 300000.5 else 0 end::decimal(18, 2) as bank_bills_amount,
    case when customer_id = 'C004' then 20000 else 0 end::decimal(18, 2)
        as commercial_bills_amount,
    (commercial_bills_amount / 100)::decimal(18, 2) as bills_provision_amount,
from receivables_balances
where open_amount > 0;

create table credit_loss_movement as
with months as (
    select
        unnest(generate_series(
            date_trunc('month', $first_day), date_trunc('month', $as_of), interval 1 month
        ))::date as month_on,
    where exists (from fct_invoices)
),
moves as (
    select
        *,
        row_number() over (order by month_on) as place,
        (1000.25 * place)::decimal(18, 2) as new_amount,
        0::decimal(18, 2) as reopened_amount,
        (-700.10 * place)::decimal(18, 2) as paid_amount,
        0::decimal(18, 2) as credited_amount,
        case when place = 20 then -500 else 0 end::decimal(18, 2) as written_off_amount,
        (99.01 * place)::decimal(18, 2) as aged_amount,
        case when place = 31 then 1200.4 else 0 end::decimal(18, 2) as default_change_amount,
        case when place = 30 then 2500.5 else 0 end::decimal(18, 2) as rate_change_amount,
        0::decimal(18, 2) as specific_change_amount,
        0::decimal(18, 2) as exchange_amount,
    from months
)
select
    *,
    least(last_day(month_on), $as_of) as month_end_on,
    'CNY' as currency,
    new_amount + paid_amount + written_off_amount + aged_amount + default_change_amount
        + rate_change_amount as change_amount,
    sum(change_amount) over (order by month_on)::decimal(18, 2) as closing_amount,
    closing_amount - change_amount as opening_amount,
from moves;

create table book_credit_metrics as
select
    month_on,
    month_end_on,
    'CNY' as currency,
    'known' as dso_status,
    50 + place / 3 as dso_days,
    dso_days - 12.5 as best_possible_dso_days,
    0.3 + place / 1000 as collection_rate,
    collection_rate - 0.1 as cash_collection_rate,
    0.25::double as overdue_share,
    closing_amount * 20 as open_amount,
from credit_loss_movement;

create table credit_scores as
with places as (
    select *, row_number() over (order by customer_id) as place from dim_customers
)
select
    customer_id,
    ['AA', 'A', 'B', 'C', 'D', null][1 + (place % 6)::integer] as grade,
    grade || ': label' as grade_label_en,
    grade || '级' as grade_label_zh,
    case grade when 'D' then 1 when 'C' then 0.25 when 'B' then 0.06 when 'A' then 0.02
        when 'AA' then 0.01 end::double as pd_probability,
    case when grade is null then 'none' when grade = 'D' then 'default' else 'scorecard' end
        as score_basis,
    case when grade is null then 'None' when grade = 'D' then 'In default'
        else 'Scorecard' end as score_basis_label_en,
    case when grade is null then '无' when grade = 'D' then '已违约'
        else '评分卡' end as score_basis_label_zh,
    score_basis = 'default' as is_in_default,
from places;

create table credit_score_history as
select
    customer_id,
    month_on,
    case when month_on < date '2026-11-01' and customer_id = 'C003' then 'B'
        when month_on < date '2026-10-01' and customer_id = 'C004' then 'A'
        when month_on < date '2026-10-01' and customer_id = 'C005' then null
        when month_on < date '2026-10-01' and customer_id = 'C009' then 'D'
        else grade end as grade,
from credit_scores
cross join (select month_on from credit_loss_movement) as months
where customer_id <> 'C006' or month_on >= date '2026-10-01';

create table rating_migration as
with moves as (
    select
        month_on,
        case when lag(month_on) over by_month is null then 'new'
            else coalesce(lag(grade) over by_month, 'none') end as from_grade,
        coalesce(grade, 'none') as to_grade,
    from credit_score_history
    window by_month as (partition by customer_id order by month_on)
)
select month_on, from_grade, to_grade, count(*)::integer as count_customers
from moves
group by all;

create table credit_model_runs as
select
    release_sequence,
    'card' || release_sequence as version,
    date '2026-06-30' + release_sequence::integer as fitted_as_of,
    release_sequence = 2 as is_in_force,
    case when release_sequence = 3 then 'Refused: too few <defaults>' else 'Promoted: good' end
        as verdict_en,
    case when release_sequence = 3 then '拒绝:违约过少' else '启用:检验合格' end as verdict_zh,
    0.76::double as auc_rate,
    0.41::double as ks,
    520 as count_holdout_rows,
    86 as count_holdout_defaults,
from (values (1), (2), (3)) as runs (release_sequence);

create table credit_limits as
with exposures as (
    select
        customers.customer_id,
        credit_scores.grade,
        case when customers.customer_id = 'C007' then null
            else customers.credit_limit_amount end as credit_limit_amount,
        coalesce(balances.open_amount, 0)::decimal(18, 2) as exposure_amount,
    from dim_customers as customers
    inner join credit_scores using (customer_id)
    left join receivables_balances as balances using (customer_id)
)
select
    *,
    'CNY' as currency,
    case when credit_limit_amount is null then 'no_limit' else 'known' end as limit_status,
    (exposure_amount / credit_limit_amount)::double as utilisation_rate,
    (credit_limit_amount - exposure_amount)::decimal(18, 2) as effective_headroom_amount,
    exposure_amount > credit_limit_amount as is_breached,
    (credit_limit_amount / 2)::decimal(18, 2) as recommended_limit_amount,
    'Lower the limit' as advice_label_en,
    '下调额度' as advice_label_zh,
from exposures;

create table bill_ladder as
select
    customer_id,
    'CNY' as currency,
    issuer_kind,
    ladder_status,
    bucket_code,
    bucket_code || ' days' as bucket_label_en,
    bucket_code || '天到期' as bucket_label_zh,
    bucket_order,
    count_bills,
    bill_amount::decimal(18, 2) as bill_amount,
from (
    values
        ('C001', 'bank_acceptance', 'held', '0_7', 2, 3, 250000.25),
        ('C001', 'bank_acceptance', 'endorsed', '0_7', 2, 1, 90000),
        ('C004', 'commercial_acceptance', 'held', '8_30', 3, 2, 20000),
        ('C004', 'commercial_acceptance', 'discounted', '8_30', 3, 1, 7000.75),
        ('C001', 'bank_acceptance', 'matured_without_status', 'past', 1, 1, 50000.25)
) as bills (
    customer_id, issuer_kind, ladder_status, bucket_code, bucket_order, count_bills, bill_amount
)
where exists (from fct_payments);

create table credit_alerts as
with kinds (kind, severity, severity_en, severity_zh, label_en, label_zh, share) as (
    values
        ('stop_shipment', 'critical', 'Critical', '紧急', 'Goods still to go', '仍有待发货', 0.1),
        ('limit_breach', 'warning', 'Warning', '预警', 'Credit limit passed', '超信用额度', 1),
        ('statutory', 'info', 'For information', '提示', 'Past the term', '超法定期限', 0.5)
)
select
    customer_id || kind as alert_id,
    row_number() over (
        order by severity <> 'critical', severity <> 'warning', exposure_amount desc, customer_id
    )::integer as alert_rank,
    customer_id,
    kind,
    severity,
    severity_en as severity_label_en,
    severity_zh as severity_label_zh,
    label_en,
    label_zh,
    $as_of - 40 as since_on,
    currency,
    (exposure_amount * share)::decimal(18, 2) as amount_at_risk,
    'Owes ' || exposure_amount as evidence_en,
    '欠款 ' || exposure_amount as evidence_zh,
    'Call <today>' as step_en,
    '今日致电' as step_zh,
from credit_limits
cross join kinds
where exposure_amount > 0 and (grade = 'D' or severity <> 'critical');

create table receivables_exceptions as
select
    invoice_id as document_id,
    case when place % 2 = 0 then 'reference_unknown' else 'refund_not_covered' end
        as exception_code,
    case when place % 2 = 0 then 'warning' else 'critical' end as severity,
    case when place % 2 = 0 then 'Names an unknown document' else 'Refunded above all' end
        as label_en,
    case when place % 2 = 0 then '参考号不存在' else '退款超过收款' end as label_zh,
    currency,
    invoice_amount as amount,
    'Kept open' as treatment_en,
    '保留列示' as treatment_zh,
    'Ask the customer' as step_en,
    '向客户确认' as step_zh,
from (select *, row_number() over (order by invoice_id) as place from fct_invoices)
where place <= 7;
"""


@dataclass(frozen=True)
class Book:
    """What the company of the fixture delivers."""

    count_customers: int = 36
    has_orders: bool = True
    has_costs: bool = True
    has_invoices: bool = True
    has_payments: bool = True
    has_surveys: bool = True
    has_second_currency: bool = True


def build_marts(path: Path, book: Book | None = None) -> None:
    """Write the marts of `book` to a new DuckDB file, as a release holds them."""
    book = book or Book()
    random_source = random.Random(20261120)
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"attach '{path}' as release (storage_version 'v1.2.0')")
        connection.execute("use release")
        connection.execute(_SCHEMA)
        _add_facts(connection, book, random_source)
        for statement in (_DERIVED + _SALES + _CREDIT).split(";\n"):
            if statement.strip():
                for name, value in (
                    ("$as_of", f"date '{AS_OF}'"),
                    ("$first_day", f"date '{FIRST_DAY}'"),
                    ("$hostile_group", f"'{HOSTILE_GROUP}'"),
                    ("$hostile_product", f"'{HOSTILE_PRODUCT}'"),
                ):
                    statement = statement.replace(name, value)
                connection.execute(statement)
        _add_trust(connection)
        connection.execute("use memory")
        connection.execute("detach release")


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Through a file: row by row would take DuckDB most of a minute."""
    if not rows:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
        file.flush()
        connection.execute(f"copy {table} from '{file.name}' (format csv, header false)")


def _add_facts(connection: duckdb.DuckDBPyConnection, book: Book, chance: random.Random) -> None:
    customers, orders, invoices, payments, answers = [], [], [], [], []
    for index in range(book.count_customers):
        customer_id = f"C{index + 1:03d}"
        name, industry = _NAMES[index % len(_NAMES)]
        if index >= len(_NAMES):
            name = f"{name} {index // len(_NAMES) + 1}"
        if index == 2:
            name = HOSTILE_NAME
        if index == 7:
            name = HOSTILE_SILENT
        terms = chance.choice((30, 45, 60, 90))
        size = Decimal(f"{2_600_000 / (index + 1.4) ** 0.85:.2f}")
        rhythm = chance.choice((14, 21, 30, 45))
        # The last ones never order; some stop long before the as-of date.
        stops = AS_OF - timedelta(days=(0, 0, 0, 0, 0, 0, 0, 90, 0, 320)[index % 10])
        ordered = []
        day = FIRST_DAY + timedelta(days=chance.randrange(0, 240 if index > 4 else 20))
        is_silent = not book.has_orders or (index >= book.count_customers - 2 and index > 0)
        while day <= stops and not is_silent:
            ordered.append(day)
            day += timedelta(days=max(3, round(chance.gauss(rhythm, rhythm / 4))))
        currency = "USD" if book.has_second_currency and index == 5 else "CNY"
        customers.append(
            (
                customer_id,
                name,
                None,
                None,
                industry,
                "large" if index < 6 else "medium",
                "north",
                industry,
                ("李雪", "M. Keller", "王强", None)[index % 4],
                terms,
                size * 3,
                FIRST_DAY,
                ordered[0] if ordered else None,
                ordered[-1] if ordered else None,
                False,
            )
        )
        for number, on in enumerate(ordered):
            season = Decimal(f"{1 + 0.25 * ((on.month in (11, 12, 1)) - (on.month in (5, 6))):.2f}")
            growth = 1 + Decimal((on - FIRST_DAY).days) / 4000
            noise = Decimal(f"{chance.uniform(0.6, 1.4):.3f}")
            revenue = (size * season * growth * noise).quantize(Decimal("0.01"))
            cost = (revenue * Decimal(f"{chance.uniform(0.76, 0.93):.4f}")).quantize(
                Decimal("0.01")
            )
            tax = (revenue * Decimal("0.13")).quantize(Decimal("0.01"))
            is_costed = book.has_costs and chance.random() > 0.06
            is_cancelled = chance.random() < 0.03
            order_id = f"O{customer_id[1:]}{number:04d}"
            orders.append(
                (
                    order_id,
                    customer_id,
                    customer_id,
                    datetime.combine(on, datetime.min.time()),
                    on,
                    on.replace(day=1),
                    "cancelled" if is_cancelled else "completed",
                    is_cancelled,
                    "contract",
                    "field",
                    None,
                    "CNY",
                    currency,
                    1,
                    1,
                    Decimal(40),
                    revenue,
                    Decimal(0),
                    tax,
                    revenue + tax,
                    cost if is_costed else None,
                    revenue - cost if is_costed else None,
                )
            )
            if is_cancelled:
                continue
            due = on + timedelta(days=terms)
            delay = round(chance.choice((-5, 0, 4, 12, 40, 130)) * (1 + index % 3) / 2)
            paid_on = due + timedelta(days=delay)
            is_open = paid_on > AS_OF or not book.has_payments
            gross = revenue + tax
            if book.has_invoices:
                invoices.append(
                    (
                        f"I{order_id[1:]}",
                        order_id,
                        customer_id,
                        customer_id,
                        on,
                        due,
                        "terms",
                        "invoice",
                        "CNY",
                        currency,
                        1,
                        gross,
                        gross,
                        tax,
                        False,
                        False,
                        gross if is_open else Decimal(0),
                    )
                )
                if chance.random() < 0.02:
                    invoices.append(
                        (
                            f"N{order_id[1:]}",
                            order_id,
                            customer_id,
                            customer_id,
                            on,
                            on,
                            "invoice",
                            "credit_note",
                            "CNY",
                            currency,
                            1,
                            -gross / 10,
                            -gross / 10,
                            -tax / 10,
                            False,
                            False,
                            Decimal(0),
                        )
                    )
            if book.has_payments and not is_open:
                payments.append(
                    (
                        f"P{order_id[1:]}",
                        customer_id,
                        customer_id,
                        datetime.combine(paid_on, datetime.min.time()),
                        paid_on,
                        paid_on,
                        "receipt",
                        "transfer",
                        "CNY",
                        currency,
                        1,
                        gross,
                        gross,
                        f"I{order_id[1:]}",
                        order_id,
                        None,
                        None,
                        None,
                    )
                )
            if book.has_surveys and chance.random() < 0.1:
                score = Decimal(chance.choice((10, 10, 9, 9, 8, 8, 7, 6, 4)))
                answers.append(
                    (
                        f"R{order_id[1:]}",
                        "nps",
                        customer_id,
                        order_id,
                        "S1",
                        datetime.combine(on, datetime.min.time()),
                        on,
                        score,
                        Decimal(0),
                        Decimal(10),
                        score / 10,
                        None,
                        None,
                        None,
                        None,
                        "nps",
                    )
                )
    _insert(connection, "dim_customers", customers)
    _insert(connection, "fct_orders", orders)
    _insert(connection, "fct_invoices", invoices)
    _insert(connection, "fct_payments", payments)
    _insert(connection, "fct_survey_responses", answers)


def _add_trust(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        insert into conservation_ledger
        select
            'orders', document_currency, 'b1', 1,
            count(*) + 12, count(*), 4, 6, 2, 0, count(*) + 12,
            sum(revenue_amount) + 120, sum(revenue_amount), 40, 60, 20, 0,
            sum(revenue_amount) + 120,
        from fct_orders group by document_currency
        union all
        select
            'payments', document_currency, 'b2', 1,
            count(*) + 3, count(*), 3, 0, 0, 1, null,
            sum(payment_amount) + 88123.45, sum(payment_amount), 88123.45, 0, 0, 10, null,
        from fct_payments group by document_currency
        union all
        select 'customers', null, 'b3', 1, count(*), count(*), 0, 0, 0, 0, count(*), null, null,
            null, null, null, null, null
        from dim_customers
        """
    )
    connection.execute(
        """
        insert into quarantine_summary values
            ('payments', 'unknown_customer', 'finance', 1, 10.00, 'CNY', 1,
                '2026-11-19 01:00:00', 3),
            ('payments', 'amount_positive', 'finance', 2, 88113.45, 'CNY', 1,
                '2026-11-12 01:00:00', 0),
            ('orders', 'ordered_at_in_range', 'sales', 4, 40.00, 'CNY', 1,
                '2026-11-12 01:00:00', 0)
        """
    )


def release_manifest() -> dict[str, Any]:
    """A manifest as the release step writes it, with a warning and quarantined rows."""
    return {
        "release_id": "20261121T021402Z-4f1c",
        "release_sequence": 47,
        "parent_release_id": "20261120T021355Z-9b02",
        "run_id": "20261121T021300Z",
        "company": "sample",
        "company_name_en": "Northern Bulk Supply",
        "company_name_zh": "北方大宗物资有限公司",
        "as_of": "2026-11-20",
        "started_at": "2026-11-21T02:13:00Z",
        "published_at": "2026-11-21T02:14:02+00:00",
        "code_version": "0.1.0+5d2c1e7",
        "is_rebuild": False,
        "reporting_currency": "CNY",
        "data_through": {
            "customers": "2026-11-20",
            "products": None,
            "orders": "2026-11-20",
            "order_lines": "2026-11-20",
            "invoices": "2026-11-20",
            "payments": "2026-11-18",
            "survey_responses": "2026-10-31",
        },
        "rows": {"dim_customers": 36, "fct_orders": 1301, "fct_payments": 1124, "open_docs": 9},
        "rows_before": {"dim_customers": 36, "fct_orders": 1295, "fct_payments": 1127},
        "gates": [
            {
                "gate": "landing",
                "suite": "orders",
                "table": "orders",
                "success": True,
                "rows": 18,
                "seconds": 0.41,
                "failed": [],
            },
            {
                "gate": "landing",
                "suite": "payments",
                "table": "payments",
                "success": False,
                "rows": 11,
                "seconds": 0.38,
                "failed": [
                    {
                        "expectation": "expect_column_values_to_be_in_set",
                        "column": "method",
                        "severity": "warning",
                        "rule": "method_known",
                        "message": "1 of 11 rows: method 'wire' is not in the contract's list",
                    }
                ],
            },
            {
                "gate": "marts",
                "suite": "fct_orders",
                "table": "fct_orders",
                "success": True,
                "rows": 1301,
                "seconds": 0.52,
                "failed": [],
            },
            {
                "gate": "dbt",
                "suite": "not_null_fct_orders_order_id",
                "table": "fct_orders",
                "success": True,
                "rows": 1301,
                "seconds": 0.02,
                "failed": [],
            },
        ],
        "batches": {"orders": ["9b1d3c7e5a20f4d8"], "payments": ["77aa10c4e2b95f61", "0c2d"]},
        "steps": [
            {"step": "pull", "seconds": 3.21},
            {"step": "gate landing", "seconds": 1.12},
            {"step": "dbt build", "seconds": 9.84},
            {"step": "gate marts", "seconds": 2.05},
            {"step": "publish", "seconds": 0.06},
        ],
        "quarantine": [
            {
                "feed": "payments",
                "rule": "unknown_customer",
                "reason": "no customer with this id",
                "count_rows": 1,
                "amount": "10.00",
                "owner": "finance",
            },
            {
                "feed": "payments",
                "rule": "amount_positive",
                "reason": "amount is zero or negative",
                "count_rows": 2,
                "amount": "88113.45",
                "owner": "finance",
            },
            {
                "feed": "orders",
                "rule": "ordered_at_in_range",
                "reason": "ordered_at lies in the future",
                "count_rows": 4,
                "amount": "40.00",
                "owner": "sales",
            },
        ],
        "models": {},
        "files": {
            "marts.duckdb": {"sha256": "5f" * 32, "bytes": 4_812_800},
            "parquet/fct_orders.parquet": {"sha256": "a1" * 32, "bytes": 71_301},
        },
    }
