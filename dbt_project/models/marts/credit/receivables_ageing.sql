with open_documents as (
    select * from {{ ref('open_documents') }}
),

ageing_buckets as (
    select * from {{ ref('ageing_buckets') }}
    where {{ is_in_force() }}
),

aged_documents as (
    select
        customer_id,
        currency,
        'invoice_date' as ageing_basis,
        age_days as days,
        open_amount
    from open_documents
    union all
    select
        customer_id,
        currency,
        'due_date' as ageing_basis,
        overdue_days as days,
        open_amount
    from open_documents
),

bucketed_documents as (
    select
        aged_documents.customer_id,
        aged_documents.currency,
        aged_documents.ageing_basis,
        ageing_buckets.bucket_code,
        sum(aged_documents.open_amount) as open_amount,
        count(*) as count_documents
    from aged_documents
    inner join ageing_buckets
        on
            aged_documents.ageing_basis = ageing_buckets.ageing_basis
            and (
                ageing_buckets.days_from is null
                or aged_documents.days >= ageing_buckets.days_from
            )
            and (
                ageing_buckets.days_to is null
                or aged_documents.days <= ageing_buckets.days_to
            )
    group by
        aged_documents.customer_id,
        aged_documents.currency,
        aged_documents.ageing_basis,
        ageing_buckets.bucket_code
),

final as (
    select
        bucketed_documents.customer_id,
        {{ as_of_date() }} as as_of,
        bucketed_documents.currency,
        bucketed_documents.ageing_basis,
        bucketed_documents.bucket_code,
        ageing_buckets.label_en as bucket_label_en,
        ageing_buckets.label_zh as bucket_label_zh,
        ageing_buckets.bucket_order,
        cast(bucketed_documents.open_amount as decimal(18, 2)) as open_amount,
        cast(bucketed_documents.count_documents as integer) as count_documents,
        ageing_buckets.year_bucket_code,
        ageing_buckets.year_label_en as year_bucket_label_en,
        ageing_buckets.year_label_zh as year_bucket_label_zh
    from bucketed_documents
    inner join ageing_buckets
        on
            bucketed_documents.ageing_basis = ageing_buckets.ageing_basis
            and bucketed_documents.bucket_code = ageing_buckets.bucket_code
)

select * from final
