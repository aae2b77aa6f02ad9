with described as (
    select
        row_described.table_name,
        row_described.column_no,
        row_described.column_name,
        row_described.data_type,
        row_described.label_zh,
        row_described.description
    from
        (
            values
            {{ described_marts() }}
            -- ends the list
            ('', 0, null, null, null, null)
        ) as row_described (
            table_name, column_no, column_name, data_type, label_zh, description
        )
),

final as (
    select
        table_name,
        cast(column_no as integer) as column_no,
        cast(column_name as {{ dbt.type_string() }}) as column_name,
        cast(data_type as {{ dbt.type_string() }}) as data_type,
        cast(label_zh as {{ dbt.type_string() }}) as label_zh,
        cast(description as {{ dbt.type_string() }}) as description
    from described
    where table_name <> ''
)

select * from final
