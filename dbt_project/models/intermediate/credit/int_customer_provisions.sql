{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_months_from(first_provision_month()) }}",
        "{{ delete_changed_months_of_customers(provisions_rebuilt_when()) }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_provision_months_changed') }}
-- depends_on: {{ ref('stg_landing__run_context') }}

{%- set is_partial = is_incremental() and not run_asks_for_rebuild(provisions_rebuilt_when()) %}

-- A month's provision of each customer in steps: what it would be if, one after the other, what was
-- written off, credited and paid left, the rest aged, claims reopened and came, all as at the end
-- of the month before: at its rates, in default or not; then if it came into default or was cured;
-- and then at the rates of the month. Each step is in cents, so that the differences between them
-- sum to the change exactly. What the group's rates alone would give stands beside.
with transitions as (
    {{ rows_of_months_again(
        ref('int_bucket_transitions'), 'month_on', first_provision_month(), is_partial
    ) }}
),

all_group_months as (
    select * from {{ ref('int_provision_group_months') }}
),

group_months as (
    {{ rows_of_months_again('all_group_months', 'month_on', first_provision_month(), is_partial) }}
),

provision_rates as (
    select * from {{ ref('int_provision_rates') }}
),

specific_months as (
    select * from {{ ref('int_specific_provision_months') }}
),

-- what share of all it owed was provided for who was assessed on its own a month before
opening_specifics as (
    select
        customer_id,
        {{ add_months('month_on', 1) }} as month_on,
        specific_amount,
        {{ mean_of('specific_amount', 'gross_amount') }} as specific_rate
    from specific_months
),

customer_months as (
    select
        group_months.customer_id,
        group_months.month_on,
        group_months.month_end_on,
        group_months.provision_group,
        coalesce(groups_before.provision_group, group_months.provision_group)
            as opening_provision_group,
        group_months.is_in_default,
        coalesce(groups_before.is_in_default, group_months.is_in_default) as was_in_default,
        case
            when groups_before.customer_id is not null then groups_before.default_rate
            else group_months.default_rate
        end as opening_default_rate,
        group_months.default_rate,
        {{ month_before('group_months.month_on') }} as previous_month_on,
        opening_specifics.specific_amount as opening_specific_amount,
        opening_specifics.specific_rate as opening_specific_rate,
        specific_months.specific_amount
    from group_months
    left join all_group_months as groups_before
        on
            group_months.customer_id = groups_before.customer_id
            and {{ month_before('group_months.month_on') }} = groups_before.month_on
    left join opening_specifics
        on
            group_months.customer_id = opening_specifics.customer_id
            and group_months.month_on = opening_specifics.month_on
    left join specific_months
        on
            group_months.customer_id = specific_months.customer_id
            and group_months.month_on = specific_months.month_on
),

opened_buckets as (
    select
        customer_id,
        month_on,
        from_bucket as bucket_code,
        sum(opening_amount) as opening_amount,
        sum(written_off_amount) as written_off_amount,
        sum(credited_amount) as credited_amount,
        sum(paid_amount) as paid_amount
    from transitions
    where from_bucket is not null
    group by customer_id, month_on, from_bucket
),

closed_buckets as (
    select
        customer_id,
        month_on,
        to_bucket as bucket_code,
        sum(kept_amount) as kept_amount,
        sum(reopened_amount) as reopened_amount,
        sum(new_amount) as new_amount,
        sum(closing_amount) as closing_amount,
        sum(disputed_amount) as disputed_amount,
        sum(count_claims) as count_claims
    from transitions
    where to_bucket is not null
    group by customer_id, month_on, to_bucket
),

rated_opened as (
    select
        opened_buckets.*,
        coalesce(
            customer_months.opening_specific_rate,
            {{ rate_of_claim(
                'provision_rates.applied_rate', 'customer_months.opening_default_rate'
            ) }}
        ) as opening_rate
    from opened_buckets
    inner join customer_months
        on
            opened_buckets.customer_id = customer_months.customer_id
            and opened_buckets.month_on = customer_months.month_on
    left join provision_rates
        on
            customer_months.previous_month_on = provision_rates.month_on
            and customer_months.opening_provision_group = provision_rates.provision_group
            and opened_buckets.bucket_code = provision_rates.bucket_code
),

-- a bucket or group that is new this month has no rate of the month before
bucket_rates as (
    select
        closed_buckets.*,
        customer_months.opening_specific_rate,
        customer_months.opening_default_rate,
        customer_months.default_rate,
        -- of who is in default at both ends another loss given default is another rate
        case
            when customer_months.was_in_default = customer_months.is_in_default
                then customer_months.opening_default_rate
            else customer_months.default_rate
        end as turned_default_rate,
        coalesce(rates_before.applied_rate, provision_rates.applied_rate) as rate_before,
        provision_rates.applied_rate
    from closed_buckets
    inner join customer_months
        on
            closed_buckets.customer_id = customer_months.customer_id
            and closed_buckets.month_on = customer_months.month_on
    left join provision_rates as rates_before
        on
            customer_months.previous_month_on = rates_before.month_on
            and customer_months.opening_provision_group = rates_before.provision_group
            and closed_buckets.bucket_code = rates_before.bucket_code
    left join provision_rates
        on
            customer_months.month_on = provision_rates.month_on
            and customer_months.provision_group = provision_rates.provision_group
            and closed_buckets.bucket_code = provision_rates.bucket_code
),

rated_closed as (
    select
        *,
        coalesce(opening_specific_rate, {{ rate_of_claim('rate_before', 'opening_default_rate') }})
            as opening_rate,
        coalesce(opening_specific_rate, {{ rate_of_claim('rate_before', 'turned_default_rate') }})
            as turned_rate,
        {{ rate_of_claim('applied_rate', 'default_rate') }} as closing_rate
    from bucket_rates
),

opened_customers as (
    select
        customer_id,
        month_on,
        sum(opening_amount) as gross_opening_amount,
        sum(written_off_amount) as gross_written_off_amount,
        sum(credited_amount) as gross_credited_amount,
        sum(paid_amount) as gross_paid_amount,
        sum({{ provision_of('opening_amount', 'opening_rate') }}) as opening_step,
        sum({{ provision_of('opening_amount - written_off_amount', 'opening_rate') }})
            as written_off_step,
        sum({{ provision_of(
            'opening_amount - written_off_amount - credited_amount', 'opening_rate'
        ) }}) as credited_step,
        sum({{ provision_of(
            'opening_amount - written_off_amount - credited_amount - paid_amount', 'opening_rate'
        ) }}) as paid_step
    from rated_opened
    group by customer_id, month_on
),

closed_customers as (
    select
        customer_id,
        month_on,
        sum(reopened_amount) as gross_reopened_amount,
        sum(new_amount) as gross_new_amount,
        sum(closing_amount) as gross_closing_amount,
        sum(disputed_amount) as disputed_amount,
        sum(count_claims) as count_claims,
        sum({{ provision_of('kept_amount', 'opening_rate') }}) as aged_step,
        sum({{ provision_of('kept_amount + reopened_amount', 'opening_rate') }}) as reopened_step,
        sum({{ provision_of('closing_amount', 'opening_rate') }}) as new_step,
        sum({{ provision_of('closing_amount', 'turned_rate') }}) as turned_step,
        sum({{ provision_of('closing_amount', 'closing_rate') }}) as closing_step,
        sum({{ provision_of('closing_amount', 'applied_rate') }}) as general_step
    from rated_closed
    group by customer_id, month_on
),

final as (
    select
        customer_months.customer_id,
        customer_months.month_on,
        customer_months.month_end_on,
        customer_months.provision_group,
        customer_months.opening_specific_amount is not null as was_specific,
        customer_months.specific_amount is not null as is_specific,
        customer_months.was_in_default,
        customer_months.is_in_default,
        customer_months.default_rate,
        {%- for amount in [
            'opened_customers.gross_opening_amount',
            'opened_customers.gross_written_off_amount',
            'opened_customers.gross_credited_amount',
            'opened_customers.gross_paid_amount',
            'closed_customers.gross_reopened_amount',
            'closed_customers.gross_new_amount',
            'closed_customers.gross_closing_amount',
            'closed_customers.disputed_amount',
            'opened_customers.opening_step',
            'opened_customers.written_off_step',
            'opened_customers.credited_step',
            'opened_customers.paid_step',
            'closed_customers.aged_step',
            'closed_customers.reopened_step',
            'closed_customers.new_step',
            'closed_customers.turned_step',
            'closed_customers.closing_step',
            'closed_customers.general_step',
        ] %}
            {{ or_zero(amount) }} as {{ amount.split('.')[1] }},
        {%- endfor %}
        cast(
            coalesce(customer_months.opening_specific_amount, opened_customers.opening_step, 0)
            as decimal(18, 2)
        ) as opening_provision_amount,
        cast(
            coalesce(customer_months.specific_amount, closed_customers.closing_step, 0)
            as decimal(18, 2)
        ) as provision_amount,
        cast(coalesce(closed_customers.count_claims, 0) as integer) as count_claims
    from customer_months
    left join opened_customers
        on
            customer_months.customer_id = opened_customers.customer_id
            and customer_months.month_on = opened_customers.month_on
    left join closed_customers
        on
            customer_months.customer_id = closed_customers.customer_id
            and customer_months.month_on = closed_customers.month_on
)

select * from final
where {{ only_changed('provisions', provisions_rebuilt_when()) }}
