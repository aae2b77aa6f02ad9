with code_labels as (
    select * from {{ ref('code_labels') }}
    where {{ is_in_force() }}
),

final as (
    select
        domain,
        code,
        label_en,
        label_zh
    from code_labels
)

select * from final
