with claim_months as (
    select * from {{ ref('int_claim_months') }}
),

provision_buckets as (
    select * from {{ ref('provision_buckets') }}
),

claims as (
    select
        claimed_on,
        due_on
    from {{ ref('int_receivable_claims') }}
),

book as (
    select {{ month_before(month_start('min(claimed_on)')) }} as first_month_on
    from claims
),

months as (
    select
        cast(
            {{ explode_months('first_month_on', month_start(as_of_date())) }} as date
        ) as month_on
    from book
),

due_months as (
    select
        months.month_on,
        due_dates.due_on,
        {{ state_on('months.month_on') }} as state_on
    from months
    cross join (select distinct due_on from claims) as due_dates
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

bucketed_months as (
    select
        claim_months.*,
        closing_buckets.state_on as month_end_on,
        case when claim_months.opening_amount > 0 then opening_buckets.bucket_code end
            as from_bucket,
        case when claim_months.closing_amount > 0 then closing_buckets.bucket_code end
            as to_bucket,
        least(claim_months.opening_amount, claim_months.closing_amount) as kept_amount,
        greatest(claim_months.opening_amount - claim_months.closing_amount, 0) as released_amount,
        greatest(claim_months.closing_amount - claim_months.opening_amount, 0) as added_amount
    from claim_months
    inner join due_buckets as closing_buckets
        on
            claim_months.month_on = closing_buckets.month_on
            and claim_months.due_on = closing_buckets.due_on
    inner join due_buckets as opening_buckets
        on
            {{ month_before('claim_months.month_on') }} = opening_buckets.month_on
            and claim_months.due_on = opening_buckets.due_on
),

split_months as (
    select
        *,
        least(credit_note_amount, released_amount - written_off_amount) as credited_amount
    from bucketed_months
),

final as (
    select
        customer_id,
        month_on,
        month_end_on,
        from_bucket,
        to_bucket,
        {{ sum_amount('opening_amount') }} as opening_amount,
        {{ sum_amount('written_off_amount') }} as written_off_amount,
        {{ sum_amount('credited_amount') }} as credited_amount,
        {{ sum_amount('released_amount - written_off_amount - credited_amount') }} as paid_amount,
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
