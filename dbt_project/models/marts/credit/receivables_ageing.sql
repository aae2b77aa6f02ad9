with open_documents as (
    select * from {{ ref('open_documents') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

ageing_buckets as (
    select * from {{ ref('ageing_buckets') }}
    where {{ is_in_force() }}
),

aged_documents as (
    select
        *,
        'invoice_date' as ageing_basis,
        age_days as days
    from open_documents
    union all
    select
        *,
        'due_date' as ageing_basis,
        overdue_days as days
    from open_documents
),

bucketed_documents as (
    select
        aged_documents.customer_id,
        aged_documents.currency,
        aged_documents.document_currency,
        aged_documents.ageing_basis,
        ageing_buckets.bucket_code,
        sum(aged_documents.open_amount) as open_amount,
        sum(aged_documents.document_open_amount) as document_open_amount,
        count(*) as count_documents,
        count(*) filter (where aged_documents.due_on_source = 'terms') as count_due_by_terms
    from aged_documents
    inner join ageing_buckets
        on
            aged_documents.ageing_basis = ageing_buckets.ageing_basis
            and {{ is_in_bucket('ageing_buckets', 'aged_documents.days') }}
    group by
        aged_documents.customer_id,
        aged_documents.currency,
        aged_documents.document_currency,
        aged_documents.ageing_basis,
        ageing_buckets.bucket_code
),

final as (
    select
        bucketed_documents.customer_id,
        customers.group_key,
        {{ as_of_date() }} as as_of,
        bucketed_documents.currency,
        bucketed_documents.document_currency,
        bucketed_documents.ageing_basis,
        bucketed_documents.bucket_code,
        ageing_buckets.label_en as bucket_label_en,
        ageing_buckets.label_zh as bucket_label_zh,
        ageing_buckets.bucket_order,
        cast(bucketed_documents.open_amount as decimal(18, 2)) as open_amount,
        cast(bucketed_documents.document_open_amount as decimal(18, 2)) as document_open_amount,
        cast(bucketed_documents.count_documents as integer) as count_documents,
        cast(bucketed_documents.count_due_by_terms as integer) as count_due_by_terms,
        ageing_buckets.year_bucket_code,
        ageing_buckets.year_label_en as year_bucket_label_en,
        ageing_buckets.year_label_zh as year_bucket_label_zh
    from bucketed_documents
    inner join ageing_buckets
        on
            bucketed_documents.ageing_basis = ageing_buckets.ageing_basis
            and bucketed_documents.bucket_code = ageing_buckets.bucket_code
    left join customers on bucketed_documents.customer_id = customers.customer_id
)

select * from final
