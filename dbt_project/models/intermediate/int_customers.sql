with customer_versions as (
    select * from {{ ref('int_customer_versions') }}
)

select * from customer_versions
where valid_to is null
qualify row_number() over (
    partition by customer_id
    order by {{ order_of_records('customer_versions') }}
) = 1
