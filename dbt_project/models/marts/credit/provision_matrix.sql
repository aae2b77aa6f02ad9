{%- set this_month = month_start(as_of_date()) %}

with provision_rates as (
    select * from {{ ref('int_provision_rates') }}
    where month_on = {{ this_month }}
),

rates_before as (
    select * from {{ ref('int_provision_rates') }}
    where month_on = {{ month_before(this_month) }}
),

customer_provisions as (
    select * from {{ ref('int_customer_provisions') }}
    where month_on = {{ this_month }}
),

transitions as (
    select * from {{ ref('int_bucket_transitions') }}
    where month_on = {{ this_month }} and to_bucket is not null
),

provision_groups as (
    select distinct
        provision_group,
        label_en,
        label_zh
    from {{ ref('provision_groups') }}
    where {{ is_in_force() }}
),

provision_buckets as (
    select * from {{ ref('provision_buckets') }}
    where {{ is_in_force() }}
),

basis_labels as (
    select * from {{ ref('provision_labels') }}
    where dimension = 'rate_basis' and {{ is_in_force() }}
),

-- who is assessed on its own is no part of its group
customer_buckets as (
    select
        customer_provisions.provision_group,
        transitions.to_bucket as bucket_code,
        transitions.customer_id,
        sum(transitions.closing_amount) as gross_amount,
        sum(transitions.count_claims) as count_claims
    from transitions
    inner join customer_provisions on transitions.customer_id = customer_provisions.customer_id
    where not customer_provisions.is_specific
    group by customer_provisions.provision_group, transitions.to_bucket, transitions.customer_id
),

buckets as (
    select
        customer_buckets.provision_group,
        customer_buckets.bucket_code,
        sum(customer_buckets.gross_amount) as gross_amount,
        sum(customer_buckets.count_claims) as count_claims,
        count(*) as count_customers,
        sum({{ provision_of('customer_buckets.gross_amount', 'provision_rates.applied_rate') }})
            as provision_amount
    from customer_buckets
    inner join provision_rates
        on
            customer_buckets.provision_group = provision_rates.provision_group
            and customer_buckets.bucket_code = provision_rates.bucket_code
    group by customer_buckets.provision_group, customer_buckets.bucket_code
),

final as (
    select
        provision_rates.provision_group,
        provision_rates.bucket_code,
        {{ as_of_date() }} as as_of,
        {{ reporting_currency() }} as currency,
        provision_groups.label_en as provision_group_label_en,
        provision_groups.label_zh as provision_group_label_zh,
        provision_buckets.label_en as bucket_label_en,
        provision_buckets.label_zh as bucket_label_zh,
        provision_rates.bucket_order,
        provision_rates.is_lost,
        cast(coalesce(buckets.gross_amount, 0) as decimal(18, 2)) as gross_amount,
        cast(coalesce(buckets.count_claims, 0) as integer) as count_claims,
        cast(coalesce(buckets.count_customers, 0) as integer) as count_customers,
        provision_rates.historical_loss_rate,
        provision_rates.rate_basis,
        basis_labels.label_en as rate_basis_label_en,
        basis_labels.label_zh as rate_basis_label_zh,
        provision_rates.count_moves,
        provision_rates.credibility_rate,
        provision_rates.forward_looking_factor,
        provision_rates.forward_looking_reason_en,
        provision_rates.forward_looking_reason_zh,
        provision_rates.floor_rate,
        provision_rates.applied_rate,
        rates_before.applied_rate as previous_applied_rate,
        cast(coalesce(buckets.provision_amount, 0) as decimal(18, 2)) as provision_amount
    from provision_rates
    inner join provision_groups
        on provision_rates.provision_group = provision_groups.provision_group
    inner join provision_buckets on provision_rates.bucket_code = provision_buckets.bucket_code
    left join basis_labels on provision_rates.rate_basis = basis_labels.code
    left join buckets
        on
            provision_rates.provision_group = buckets.provision_group
            and provision_rates.bucket_code = buckets.bucket_code
    left join rates_before
        on
            provision_rates.provision_group = rates_before.provision_group
            and provision_rates.bucket_code = rates_before.bucket_code
)

select * from final
