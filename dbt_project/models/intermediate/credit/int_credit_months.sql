{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_months_from(first_running_month()) }}",
        "{{ delete_changed_months_of_customers(credit_panel_rebuilt_when()) }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('credit_default_rules') }}
-- depends_on: {{ ref('credit_scorecard_parameters') }}

-- Every figure of a month end rests on rows dated up to that day, so the months before a change
-- stand. int_credit_trailing_months has those that this run computes.
with panel_customers as (
    select * from {{ ref('int_credit_customers') }}
),

trailing_months as (
    select * from {{ ref('int_credit_trailing_months') }}
),

months_before as (
    select
        customer_id,
        case when is_active and not is_in_default then roll_state end as rolling_state
    from {{ ref('int_credit_months_before') }}
),

defaults as (
    select * from {{ ref('int_credit_defaults') }}
),

customer_history as (
    select * from {{ ref('dim_customer_history') }}
    where is_main_record
),

default_rules as (
    select
        max(minimum_amount) filter (where rule_code = 'overdue') as minimum_amount,
        max(minimum_rate) filter (where rule_code = 'overdue') as minimum_rate
    from {{ ref('credit_default_rules') }}
    where {{ is_in_force() }}
),

defaults_in_order as (
    select
        *,
        max(coalesce(cured_on, cast('9999-12-31' as date))) over (
            partition by customer_id order by default_on, rule_code
            rows between unbounded preceding and 1 preceding
        ) as cured_before_on
    from defaults
),

-- a spell that begins before those before it are cured goes on with them
unbroken_defaults as (
    select
        *,
        max(case when coalesce(default_on > cured_before_on, true) then default_on end) over (
            partition by customer_id order by default_on, rule_code
            rows between unbounded preceding and current row
        ) as in_default_since_on
    from defaults_in_order
),

default_spell_months as (
    select
        customer_id,
        rule_code,
        default_on,
        in_default_since_on,
        cured_on,
        default_amount,
        cast(
            {{ explode_months(
                month_start('default_on'),
                month_start('least(' ~ add_days('cured_on', -1) ~ ', ' ~ as_of_date() ~ ')')
            ) }} as date
        ) as month_on
    from unbroken_defaults
),

-- of several spells the latest
in_default_months as (
    select
        customer_id,
        month_on,
        rule_code as default_rule_code,
        default_on,
        in_default_since_on,
        default_amount
    from default_spell_months
    where coalesce(cured_on > {{ state_on('month_on') }}, true)
    qualify row_number() over (
        partition by customer_id, month_on
        order by default_on desc, rule_code asc
    ) = 1
),

months as (
    select
        trailing_months.*,
        panel_customers.customer_id,
        panel_customers.first_month_on,
        panel_customers.from_month_on,
        panel_customers.known_since_on,
        panel_customers.last_ordered_on
    from trailing_months
    inner join panel_customers on trailing_months.customer_no = panel_customers.customer_no
),

-- the day of the last payment, for the customers whose month runs without one
last_payments as (
    select
        months.customer_id,
        months.month_on,
        {{ add_days('flow_months.month_on', 'flow_months.last_paid_day - 1') }} as last_paid_on
    from months
    inner join {{ ref('int_credit_flow_months') }} as flow_months
        on
            months.customer_id = flow_months.customer_id
            and flow_months.flow_source = 'payment_months'
            and {{ add_months('months.month_on', '-months.months_since_payment') }}
            = flow_months.month_on
    where months.month_on = {{ month_start(as_of_date()) }} and months.months_since_payment > 0
),

measured as (
    select
        months.*,
        last_payments.last_paid_on,
        {{ state_on('months.month_on') }} as state_on,
        greatest(months.first_month_on, {{ add_months('months.month_on', -11) }}) as year_from_on,
        greatest(months.first_month_on, {{ add_months('months.month_on', -2) }}) as quarter_from_on,
        {{ mean_of('delay_amount_days_12_months', 'paid_amount_12_months') }}
            as delay_days_12_months,
        {{ mean_of('delay_amount_days_3_months', 'paid_amount_3_months') }} as delay_days_3_months
    from months
    left join last_payments
        on
            months.customer_id = last_payments.customer_id
            and months.month_on = last_payments.month_on
),

-- attributes as they were known then; before anything was, the first that are
known_attributes as (
    select
        customer_id,
        customer_type,
        industry,
        size_class,
        credit_limit_amount,
        valid_from,
        case when version_no = 1 then cast('0001-01-01' as date) else valid_from end as known_from,
        coalesce(valid_to, cast('9999-12-31' as date)) as known_until
    from customer_history
),

stated as (
    select
        measured.*,
        known_attributes.customer_type,
        known_attributes.industry,
        known_attributes.size_class,
        case
            when coalesce(known_attributes.valid_from <= measured.state_on, true)
                then known_attributes.credit_limit_amount
        end as credit_limit_amount,
        in_default_months.default_rule_code,
        in_default_months.default_on,
        in_default_months.in_default_since_on,
        in_default_months.default_amount,
        greatest(default_rules.minimum_amount, measured.open_amount * default_rules.minimum_rate)
            as material_amount
    from measured
    cross join default_rules
    left join known_attributes
        on
            measured.customer_id = known_attributes.customer_id
            and measured.state_on >= known_attributes.known_from
            and measured.state_on < known_attributes.known_until
    left join in_default_months
        on
            measured.customer_id = in_default_months.customer_id
            and measured.month_on = in_default_months.month_on
),

rolled as (
    select
        *,
        -- dormant: nothing open, and no invoice or payment for a year
        open_amount > 0
        or invoiced_amount_12_months > 0
        or paid_amount_12_months > 0 as is_active,
        case
            when default_rule_code is not null then 'default'
            when overdue_over_60_amount > 0 and overdue_over_60_amount >= material_amount
                then 'late_over_60'
            when overdue_over_30_amount > 0 and overdue_over_30_amount >= material_amount
                then 'late_31_60'
            when overdue_amount > 0 and overdue_amount >= material_amount
                then 'late_1_30'
            else 'not_late'
        end as roll_state
    from stated
),

-- what a month moves on from: nothing, if it was dormant or in default
rolling as (
    select
        *,
        case when is_active and roll_state <> 'default' then roll_state end as rolling_state
    from rolled
),

moved as (
    select
        rolling.*,
        case
            when rolling.month_on = rolling.from_month_on then months_before.rolling_state
            else
                lag(rolling.rolling_state) over (
                    partition by rolling.customer_id order by rolling.month_on
                )
        end as moved_from_state
    from rolling
    left join months_before on rolling.customer_id = months_before.customer_id
),

final as (
    select
        customer_id,
        month_on,
        state_on,
        {{ reporting_currency() }} as currency,
        open_amount,
        overdue_amount,
        invoiced_amount_12_months as invoiced_12_months_amount,
        is_active,
        default_rule_code,
        default_on,
        in_default_since_on,
        default_amount,
        default_rule_code is not null as is_in_default,
        roll_state,
        moved_from_state,
        count_defaults > 0 as has_defaulted_in_month,
        cast(
            {{ months_between('first_month_on', 'month_on') }} as integer
        ) as history_months,
        {{ mean_of('overdue_amount', 'open_amount') }} as overdue_rate,
        {{ mean_of('overdue_over_30_amount', 'open_amount') }} as overdue_over_30_rate,
        cast(worst_overdue_days as double) as worst_overdue_days,
        cast(worst_days_12_months as double) as worst_overdue_days_12_months,
        delay_days_3_months,
        delay_days_12_months,
        delay_days_3_months - delay_days_12_months as delay_trend_days,
        {{ mean_of('count_invoices_late_12_months', 'count_invoices_due_12_months') }}
            as late_invoice_rate_12_months,
        cast(count_months_overdue_12_months as double) as months_overdue_12_months,
        {{ mean_of('bill_paid_amount_12_months', 'paid_amount_12_months') }}
            as bill_paid_rate_12_months,
        cast(count_dishonoured_12_months as double) as dishonoured_bills_12_months,
        {{ mean_of('prepaid_amount_12_months', 'paid_amount_12_months') }}
            as prepaid_rate_12_months,
        {{ mean_of('open_amount + bills_outstanding_amount', 'credit_limit_amount') }}
            as utilisation_rate,
        -- a month that runs counts with its days
        cast(revenue_amount_3_months as double) / nullif(
            cast(revenue_amount_12_months as double)
            * ({{ days_between('quarter_from_on', 'state_on') }} + 1)
            / ({{ days_between('year_from_on', 'state_on') }} + 1),
            0
        ) as order_trend_rate,
        -- at a month's end the calendar's months have passed; while one runs the last may have not
        cast(
            case
                when month_on = {{ month_start(as_of_date()) }} and months_since_order > 0
                    then {{ months_passed('last_ordered_on', 'state_on') }}
                else months_since_order
            end as double
        ) as months_since_order,
        cast(
            case
                when last_paid_on is not null
                    then {{ months_passed('last_paid_on', 'state_on') }}
                else months_since_payment
            end as double
        ) as months_since_payment,
        {{ mean_of('paid_amount_12_months', 'invoiced_amount_12_months') }}
            as collection_rate_12_months,
        -- so it does here: on the second of a month the window has eleven months of invoices
        cast(open_amount as double) * (
            {{ months_between('year_from_on', 'month_on') }}
            + cast({{ days_between('month_on', 'state_on') }} + 1 as double)
            / {{ days_between('month_on', add_months('month_on', 1)) }}
        ) / nullif(cast(invoiced_amount_12_months as double), 0) as balance_months,
        cast({{ months_passed('known_since_on', 'state_on') }} as double) as tenure_months,
        case when known_complaints_12_months > 0 then cast(count_complaints_12_months as double) end
            as complaints_12_months,
        cast(defaults_before as double) as defaults_before,
        customer_type,
        industry,
        size_class
    from moved
)

select * from final
where {{ only_changed('panel', credit_panel_rebuilt_when()) }}
