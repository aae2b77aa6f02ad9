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

-- who is assessed on its own is no part of its group; who is in default stands apart in it
customer_buckets as (
    select
        customer_provisions.provision_group,
        transitions.to_bucket as bucket_code,
        transitions.customer_id,
        customer_provisions.is_in_default,
        customer_provisions.default_rate,
        sum(transitions.closing_amount) as gross_amount,
        sum(transitions.count_claims) as count_claims
    from transitions
    inner join customer_provisions on transitions.customer_id = customer_provisions.customer_id
    where not customer_provisions.is_specific
    group by
        customer_provisions.provision_group,
        transitions.to_bucket,
        transitions.customer_id,
        customer_provisions.is_in_default,
        customer_provisions.default_rate
),

provided_buckets as (
    select
        customer_buckets.*,
        {{ provision_of(
            'customer_buckets.gross_amount',
            rate_of_claim('provision_rates.applied_rate', 'customer_buckets.default_rate')
        ) }} as provision_amount
    from customer_buckets
    inner join provision_rates
        on
            customer_buckets.provision_group = provision_rates.provision_group
            and customer_buckets.bucket_code = provision_rates.bucket_code
),

buckets as (
    select
        provision_group,
        bucket_code,
        sum(gross_amount) filter (where not is_in_default) as gross_amount,
        sum(count_claims) filter (where not is_in_default) as count_claims,
        count(*) filter (where not is_in_default) as count_customers,
        sum(provision_amount) filter (where not is_in_default) as provision_amount,
        sum(gross_amount) filter (where is_in_default) as default_gross_amount,
        sum(count_claims) filter (where is_in_default) as count_default_claims,
        count(*) filter (where is_in_default) as count_default_customers,
        sum(provision_amount) filter (where is_in_default) as default_provision_amount
    from provided_buckets
    group by provision_group, bucket_code
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
        cast(coalesce(buckets.provision_amount, 0) as decimal(18, 2)) as provision_amount,
        cast(coalesce(buckets.default_gross_amount, 0) as decimal(18, 2)) as default_gross_amount,
        cast(coalesce(buckets.count_default_claims, 0) as integer) as count_default_claims,
        cast(coalesce(buckets.count_default_customers, 0) as integer) as count_default_customers,
        cast(coalesce(buckets.default_provision_amount, 0) as decimal(18, 2))
            as default_provision_amount
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
