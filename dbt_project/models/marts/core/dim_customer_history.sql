with customer_versions as (
    select * from {{ ref('int_customer_versions') }}
),

final as (
    select
        source_customer_id,
        customer_id,
        version_no,
        valid_from,
        valid_to,
        valid_to is null as is_current,
        coalesce(customer_name, source_customer_id) as customer_name,
        legal_id,
        group_id,
        parent_id,
        industry,
        size_class,
        region,
        customer_type,
        account_manager,
        payment_terms_days,
        credit_limit_amount,
        net_worth_amount,
        working_capital_amount,
        onboarded_on,
        changed_columns,
        updated_at,
        history_basis
    from customer_versions
    where valid_from is null or valid_from <= {{ as_of_date() }}
)

select * from final
