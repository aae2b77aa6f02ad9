with receivables_ageing as (
    select * from {{ ref('receivables_ageing') }}
),

final as (
    select
        group_key,
        as_of,
        currency,
        ageing_basis,
        bucket_code,
        bucket_label_en,
        bucket_label_zh,
        cast(bucket_order as integer) as bucket_order,
        cast(count(distinct customer_id) as integer) as count_customers,
        cast(sum(open_amount) as decimal(18, 2)) as open_amount,
        cast(sum(count_documents) as integer) as count_documents,
        cast(sum(count_due_by_terms) as integer) as count_due_by_terms,
        year_bucket_code,
        year_bucket_label_en,
        year_bucket_label_zh
    from receivables_ageing
    group by
        group_key,
        as_of,
        currency,
        ageing_basis,
        bucket_code,
        bucket_label_en,
        bucket_label_zh,
        bucket_order,
        year_bucket_code,
        year_bucket_label_en,
        year_bucket_label_zh
)

select * from final
