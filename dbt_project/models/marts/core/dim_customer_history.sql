-- depends_on: {{ ref('int_customers_changed') }}

with customer_versions as (
    select * from {{ ref('int_customer_versions') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

final as (
    select
        customer_versions.source_customer_id,
        customer_versions.customer_id,
        customer_versions.version_no,
        customer_versions.valid_from,
        customer_versions.valid_to,
        customer_versions.valid_to is null as is_current,
        customers.customer_id is not null as is_main_record,
        coalesce(customer_versions.customer_name, customer_versions.source_customer_id)
            as customer_name,
        customer_versions.legal_id,
        customer_versions.group_id,
        customer_versions.parent_id,
        customer_versions.industry,
        customer_versions.size_class,
        customer_versions.region,
        customer_versions.customer_type,
        customer_versions.account_manager,
        customer_versions.payment_terms_days,
        customer_versions.credit_limit_amount,
        customer_versions.net_worth_amount,
        customer_versions.working_capital_amount,
        customer_versions.onboarded_on,
        customer_versions.changed_columns,
        customer_versions.updated_at,
        customer_versions.history_basis
    from customer_versions
    left join customers
        on
            customer_versions.customer_id = customers.customer_id
            and customer_versions.source_customer_id = customers.source_customer_id
    where
        customer_versions.valid_from is null
        or customer_versions.valid_from <= {{ as_of_date() }}
)

select * from final
