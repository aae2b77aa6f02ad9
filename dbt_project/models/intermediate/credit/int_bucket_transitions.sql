{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_months_from(first_running_month()) }}",
        "{{ delete_changed_months_of_customers(provisions_rebuilt_when()) }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('int_open_claims') }}

{%- set is_partial = is_incremental() and not run_asks_for_rebuild(provisions_rebuilt_when()) %}

with all_claims as (
    select * from {{ ref('int_receivable_claims') }}
),

all_allocations as (
    select * from {{ ref('fct_payment_allocations') }}
    where allocated_amount is not null
),

write_offs as (
    select credit_id from {{ ref('write_offs') }}
    where {{ is_in_force() }}
),

provision_buckets as (
    select * from {{ ref('provision_buckets') }}
),

{% if is_partial -%}
    -- What was open at the beginning of the running month is so still, or was settled since. Of
    -- whom earlier months changed every claim is read.
    moving_claims as (
        select document_id from {{ ref('int_open_claims') }}
        union
        select document_id from all_allocations
        where allocated_on >= {{ first_running_month() }}
        union
        select document_id from all_claims
        where claimed_on >= {{ first_running_month() }}
    ),

    claims as (
        select
            all_claims.*,
            least(changed.first_month_on, {{ first_running_month() }}) as from_month_on
        from all_claims
        left join {{ ref('int_customers_changed') }} as changed
            on all_claims.customer_id = changed.customer_id
        where
            all_claims.claim_amount is not null
            and (
                changed.first_month_on < {{ first_running_month() }}
                or all_claims.document_id in (select document_id from moving_claims)
            )
    ),

    allocations as (
        select * from all_allocations
        where document_id in (select document_id from claims)
    ),
{%- else -%}
    claims as (
        select
            *,
            {{ month_start('claimed_on') }} as from_month_on
        from all_claims
        where claim_amount is not null
    ),

    allocations as (
        select * from all_allocations
    ),
{%- endif %}

changes as (
    select
        document_id,
        {{ month_start('claimed_on') }} as month_on,
        claim_amount as change_amount,
        cast(0 as decimal(18, 2)) as credited_amount,
        cast(0 as decimal(18, 2)) as written_off_amount
    from claims
    union all
    select
        allocations.document_id,
        {{ month_start('allocations.allocated_on') }} as month_on,
        -allocations.allocated_amount as change_amount,
        case
            when allocations.credit_kind = 'credit_note' and write_offs.credit_id is null
                then allocations.allocated_amount
            else 0
        end as credited_amount,
        case when write_offs.credit_id is not null then allocations.allocated_amount else 0 end
            as written_off_amount
    from allocations
    left join write_offs on allocations.credit_id = write_offs.credit_id
),

month_changes as (
    select
        document_id,
        month_on,
        {{ sum_amount('change_amount') }} as change_amount,
        {{ sum_amount('credited_amount') }} as credited_amount,
        {{ sum_amount('written_off_amount') }} as written_off_amount
    from changes
    group by document_id, month_on
),

balances as (
    select
        *,
        cast(
            sum(change_amount) over (
                partition by document_id order by month_on
                rows between unbounded preceding and current row
            ) as decimal(18, 2)
        ) as closing_amount,
        lead(month_on) over (partition by document_id order by month_on) as next_month_on
    from month_changes
),

-- A claim's balance changes in few months: the months between two changes are filled in, and only
-- where something is open.
claim_balances as (
    select
        claims.customer_id,
        claims.due_on,
        claims.is_disputed,
        {{ month_start('claims.claimed_on') }} = balances.month_on as is_new,
        balances.month_on as changed_month_on,
        greatest(balances.month_on, claims.from_month_on) as first_month_on,
        case
            when balances.closing_amount > 0
                then
                    coalesce(
                        {{ month_before('balances.next_month_on') }},
                        {{ month_start(as_of_date()) }}
                    )
            else balances.month_on
        end as last_month_on,
        balances.change_amount,
        balances.closing_amount,
        balances.credited_amount,
        balances.written_off_amount
    from balances
    inner join claims on balances.document_id = claims.document_id
    -- what is paid in the month it is asked for is open at no month's end
    where balances.closing_amount > 0 or balances.closing_amount <> balances.change_amount
),

filled_balances as (
    select
        *,
        cast({{ explode_months('first_month_on', 'last_month_on') }} as date) as month_on
    from claim_balances
    where last_month_on >= first_month_on
),

claim_months as (
    select
        customer_id,
        month_on,
        due_on,
        is_disputed,
        is_new and month_on = changed_month_on as is_new,
        case
            when month_on = changed_month_on then closing_amount - change_amount
            else closing_amount
        end as opening_amount,
        closing_amount,
        case when month_on = changed_month_on then credited_amount else 0 end as credited_amount,
        case when month_on = changed_month_on then written_off_amount else 0 end
            as written_off_amount
    from filled_balances
),

book as (
    select {{ month_before(month_start('min(claimed_on)')) }} as first_month_on
    from all_claims
),

months as (
    select
        cast(
            {{ explode_months('first_month_on', month_start(as_of_date())) }} as date
        ) as month_on
    from book
),

due_dates as (
    select distinct due_on
    from claims
),

due_months as (
    select
        months.month_on,
        due_dates.due_on,
        {{ state_on('months.month_on') }} as state_on
    from months
    cross join due_dates
),

-- what is due on one day is in one bucket at one month's end
due_buckets as (
    select
        due_months.month_on,
        due_months.due_on,
        due_months.state_on,
        provision_buckets.bucket_code
    from due_months
    inner join provision_buckets
        on
            {{ is_in_force_on('provision_buckets', 'due_months.state_on') }}
            and {{ is_in_bucket(
                'provision_buckets', days_between('due_months.due_on', 'due_months.state_on')
            ) }}
),

due_moves as (
    select
        closing_buckets.month_on,
        closing_buckets.due_on,
        closing_buckets.state_on as month_end_on,
        opening_buckets.bucket_code as opening_bucket,
        closing_buckets.bucket_code as closing_bucket
    from due_buckets as closing_buckets
    inner join due_buckets as opening_buckets
        on
            {{ month_before('closing_buckets.month_on') }} = opening_buckets.month_on
            and closing_buckets.due_on = opening_buckets.due_on
),

bucketed_months as (
    select
        claim_months.*,
        due_moves.month_end_on,
        case when claim_months.opening_amount > 0 then due_moves.opening_bucket end as from_bucket,
        case when claim_months.closing_amount > 0 then due_moves.closing_bucket end as to_bucket,
        least(claim_months.opening_amount, claim_months.closing_amount) as kept_amount,
        greatest(claim_months.opening_amount - claim_months.closing_amount, 0) as released_amount,
        greatest(claim_months.closing_amount - claim_months.opening_amount, 0) as added_amount
    from claim_months
    inner join due_moves
        on
            claim_months.month_on = due_moves.month_on
            and claim_months.due_on = due_moves.due_on
),

-- of what a month takes off, at most its credit notes and write-offs are no money
written_off_months as (
    select
        *,
        least(greatest(written_off_amount, 0), released_amount) as lost_amount
    from bucketed_months
),

split_months as (
    select
        *,
        least(greatest(credited_amount, 0), released_amount - lost_amount) as noted_amount
    from written_off_months
),

final as (
    select
        customer_id,
        month_on,
        month_end_on,
        from_bucket,
        to_bucket,
        {{ sum_amount('opening_amount') }} as opening_amount,
        {{ sum_amount('lost_amount') }} as written_off_amount,
        {{ sum_amount('noted_amount') }} as credited_amount,
        {{ sum_amount('released_amount - lost_amount - noted_amount') }} as paid_amount,
        {{ sum_amount('kept_amount') }} as kept_amount,
        {{ sum_amount('case when not is_new then added_amount end') }} as reopened_amount,
        {{ sum_amount('case when is_new then added_amount end') }} as new_amount,
        {{ sum_amount('closing_amount') }} as closing_amount,
        {{ sum_amount('case when is_disputed then closing_amount end') }} as disputed_amount,
        cast(count(*) as integer) as count_claims
    from split_months
    group by customer_id, month_on, month_end_on, from_bucket, to_bucket
)

select * from final
where {{ only_changed('transitions', provisions_rebuilt_when()) }}
