{%- set this_month = month_start(as_of_date()) %}

with customer_provisions as (
    select * from {{ ref('int_customer_provisions') }}
    where month_on = {{ this_month }} and gross_closing_amount > 0
),

transitions as (
    select * from {{ ref('int_bucket_transitions') }}
    where month_on = {{ this_month }} and to_bucket is not null
),

specific_months as (
    select * from {{ ref('int_specific_provision_months') }}
    where month_on = {{ this_month }}
),

-- a review that ran out and that nobody renewed
expired_specifics as (
    select
        customer_id,
        max(valid_to) filter (where valid_to <= {{ as_of_date() }}) as specific_expired_on
    from {{ ref('specific_provisions') }}
    group by customer_id
    having not bool_or({{ is_in_force() }})
),

-- a bill passed on with recourse can come back until its drawee pays; one past its maturity, or
-- without one, is cash to the ledger
bills as (
    select * from {{ ref('bill_ladder') }}
    where ladder_status not in ('matured_without_status', 'maturity_unknown')
),

bill_provision_rates as (
    select * from {{ ref('bill_provision_rates') }}
    where {{ is_in_force() }}
),

credit_scores as (
    select * from {{ ref('credit_scores') }}
),

group_months as (
    select * from {{ ref('int_provision_group_months') }}
    where month_on = {{ this_month }}
),

-- payments say who is in default, whatever a reviewer thinks of its grade
customers_in_default as (
    select distinct default_spells.customer_id
    from {{ ref('int_credit_defaults') }} as default_spells
    where {{ is_default_on('default_spells', as_of_date()) }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

loss_rules as (
    select * from {{ ref('loss_given_default') }}
    where {{ is_in_force() }}
),

provision_buckets as (
    select * from {{ ref('provision_buckets') }}
    where {{ is_in_force() }}
),

provision_groups as (
    select distinct
        provision_group,
        label_en,
        label_zh
    from {{ ref('provision_groups') }}
    where {{ is_in_force() }}
),

basis_labels as (
    select * from {{ ref('provision_labels') }}
    where dimension = 'provision_basis' and {{ is_in_force() }}
),

-- of the buckets the first is what is not due
overdue_totals as (
    select
        transitions.customer_id,
        sum(transitions.closing_amount) filter (where provision_buckets.bucket_order > 1)
            as overdue_amount,
        sum(transitions.closing_amount) filter (where provision_buckets.is_lost)
            as lost_amount
    from transitions
    inner join provision_buckets on transitions.to_bucket = provision_buckets.bucket_code
    group by transitions.customer_id
),

customer_bills as (
    select
        customer_id,
        issuer_kind,
        sum(bill_amount) as bill_amount,
        sum(contingent_amount) as contingent_amount
    from bills
    group by customer_id, issuer_kind
),

-- who owes no receivable has no group, but its bills may be lost with it
profiles as (
    select
        customer_id,
        customer_type,
        size_class
    from group_months
    union all
    select
        customer_id,
        coalesce(customer_type, 'unknown') as customer_type,
        coalesce(size_class, 'unknown') as size_class
    from customers
    where
        customer_id in (select customer_id from customer_bills)
        and customer_id not in (select customer_id from group_months)
),

loss_shares as (
    select
        profiles.customer_id,
        loss_rules.loss_given_default
    from profiles
    inner join loss_rules on {{ loss_rule_fits('loss_rules', 'profiles') }}
    qualify row_number() over (
        partition by profiles.customer_id order by loss_rules.rule_order asc
    ) = 1
),

-- the bank pays its bills whatever becomes of the customer; a company's bill is lost with it
rated_bills as (
    select
        customer_bills.*,
        case
            when
                customers_in_default.customer_id is not null
                and customer_bills.issuer_kind = 'commercial_acceptance'
                then {{ rate_of_claim(
                    'bill_provision_rates.loss_rate', 'loss_shares.loss_given_default'
                ) }}
            else bill_provision_rates.loss_rate
        end as loss_rate
    from customer_bills
    left join bill_provision_rates on customer_bills.issuer_kind = bill_provision_rates.method
    left join customers_in_default on customer_bills.customer_id = customers_in_default.customer_id
    left join loss_shares on customer_bills.customer_id = loss_shares.customer_id
),

bill_totals as (
    select
        customer_id,
        sum(
            case
                when issuer_kind = 'bank_acceptance' then bill_amount
            end
        ) as bank_bills_amount,
        sum(
            case
                when issuer_kind = 'commercial_acceptance' then bill_amount
            end
        ) as commercial_bills_amount,
        sum(contingent_amount) as recourse_bills_amount,
        sum({{ provision_of('bill_amount', 'loss_rate') }}) as bills_provision_amount
    from rated_bills
    group by customer_id
),

provided_customers as (
    select
        coalesce(customer_provisions.customer_id, bill_totals.customer_id) as customer_id,
        customer_provisions.provision_group,
        case
            when customer_provisions.is_specific then 'specific'
            when customer_provisions.is_in_default then 'default'
            when customer_provisions.customer_id is not null then 'general'
        end as provision_basis,
        coalesce(customer_provisions.gross_closing_amount, 0) as gross_amount,
        coalesce(customer_provisions.disputed_amount, 0) as disputed_amount,
        coalesce(customer_provisions.count_claims, 0) as count_claims,
        coalesce(customer_provisions.provision_amount, 0) as provision_amount,
        coalesce(customer_provisions.general_step, 0) as general_by_group_amount,
        coalesce(bill_totals.bank_bills_amount, 0) as bank_bills_amount,
        coalesce(bill_totals.commercial_bills_amount, 0) as commercial_bills_amount,
        coalesce(bill_totals.recourse_bills_amount, 0) as recourse_bills_amount,
        coalesce(bill_totals.bills_provision_amount, 0) as bills_provision_amount
    from customer_provisions
    full outer join bill_totals on customer_provisions.customer_id = bill_totals.customer_id
),

final as (
    select
        provided_customers.customer_id,
        {{ reporting_currency() }} as currency,
        {{ as_of_date() }} as as_of,
        provided_customers.provision_group,
        provision_groups.label_en as provision_group_label_en,
        provision_groups.label_zh as provision_group_label_zh,
        provided_customers.provision_basis,
        basis_labels.label_en as provision_basis_label_en,
        basis_labels.label_zh as provision_basis_label_zh,
        cast(provided_customers.gross_amount as decimal(18, 2)) as gross_amount,
        cast(coalesce(overdue_totals.overdue_amount, 0) as decimal(18, 2)) as overdue_amount,
        cast(coalesce(overdue_totals.lost_amount, 0) as decimal(18, 2)) as lost_amount,
        cast(provided_customers.disputed_amount as decimal(18, 2)) as disputed_amount,
        cast(provided_customers.count_claims as integer) as count_claims,
        {%- for basis in ['general', 'default', 'specific'] %}
            cast(
                case
                    when provided_customers.provision_basis = '{{ basis }}'
                        then provided_customers.provision_amount
                    else 0
                end as decimal(18, 2)
            ) as {{ basis }}_provision_amount,
        {%- endfor %}
        cast(provided_customers.provision_amount as decimal(18, 2)) as provision_amount,
        {{ mean_of('provided_customers.provision_amount', 'provided_customers.gross_amount') }}
            as coverage_rate,
        cast(provided_customers.general_by_group_amount as decimal(18, 2))
            as general_by_group_amount,
        credit_scores.grade,
        credit_scores.score_basis,
        credit_scores.pd_probability,
        loss_shares.loss_given_default as loss_given_default_rate,
        case
            when provided_customers.gross_amount > 0
                then {{ provision_of(
                    'provided_customers.gross_amount',
                    'credit_scores.pd_probability * loss_shares.loss_given_default'
                ) }}
        end as model_loss_amount,
        customers_in_default.customer_id is not null as is_in_default,
        case when customers_in_default.customer_id is not null then credit_scores.default_on end
            as default_on,
        {%- for language in ['en', 'zh'] %}
            case
                when customers_in_default.customer_id is not null
                    then credit_scores.reason_{{ language }}_1
            end as default_reason_{{ language }},
        {%- endfor %}
        specific_months.reason_en as specific_reason_en,
        specific_months.reason_zh as specific_reason_zh,
        specific_months.reviewer as specific_reviewer,
        specific_months.valid_to as specific_expires_on,
        expired_specifics.specific_expired_on,
        cast(provided_customers.bank_bills_amount as decimal(18, 2)) as bank_bills_amount,
        cast(provided_customers.commercial_bills_amount as decimal(18, 2))
            as commercial_bills_amount,
        cast(provided_customers.recourse_bills_amount as decimal(18, 2))
            as recourse_bills_amount,
        cast(provided_customers.bills_provision_amount as decimal(18, 2))
            as bills_provision_amount,
        cast(
            provided_customers.provision_amount + provided_customers.bills_provision_amount
            as decimal(18, 2)
        ) as expected_loss_amount
    from provided_customers
    left join provision_groups
        on provided_customers.provision_group = provision_groups.provision_group
    left join basis_labels on provided_customers.provision_basis = basis_labels.code
    left join overdue_totals on provided_customers.customer_id = overdue_totals.customer_id
    left join specific_months on provided_customers.customer_id = specific_months.customer_id
    left join credit_scores on provided_customers.customer_id = credit_scores.customer_id
    left join loss_shares on provided_customers.customer_id = loss_shares.customer_id
    left join customers_in_default
        on provided_customers.customer_id = customers_in_default.customer_id
    left join expired_specifics on provided_customers.customer_id = expired_specifics.customer_id
)

select * from final
