with bills as (
    select
        *,
        case when not has_no_maturity then matures_on end as known_matures_on,
        case when not has_no_maturity then {{ days_between(as_of_date(), 'matures_on') }} end
            as days_to_maturity
    from {{ ref('int_bills') }}
),

customers as (
    select * from {{ ref('dim_customers') }}
),

maturity_buckets as (
    select * from {{ ref('bill_maturity_buckets') }}
    where {{ is_in_force() }}
),

issuer_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'payment_method' and {{ is_in_force() }}
),

status_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'bill_ladder_status' and {{ is_in_force() }}
),

bucketed_bills as (
    select
        bills.customer_id,
        bills.currency,
        bills.document_currency,
        bills.issuer_kind,
        bills.ladder_status,
        maturity_buckets.bucket_code,
        count(*) as count_bills,
        sum(bills.bill_amount) as bill_amount,
        sum(bills.document_bill_amount) as document_bill_amount,
        sum(bills.bill_amount) filter (where bills.is_outstanding) as outstanding_amount,
        sum(bills.bill_amount) filter (where bills.is_contingent) as contingent_amount,
        min(bills.known_matures_on) as first_matures_on,
        max(bills.known_matures_on) as last_matures_on,
        sum(bills.bill_amount * bills.days_to_maturity) as amount_days
    from bills
    inner join maturity_buckets
        on
            bills.has_no_maturity <> maturity_buckets.is_maturity_known
            and {{ is_in_bucket('maturity_buckets', 'bills.days_to_maturity') }}
    group by
        bills.customer_id,
        bills.currency,
        bills.document_currency,
        bills.issuer_kind,
        bills.ladder_status,
        maturity_buckets.bucket_code
),

final as (
    select
        bucketed_bills.customer_id,
        customers.group_key,
        {{ as_of_date() }} as as_of,
        bucketed_bills.currency,
        bucketed_bills.document_currency,
        bucketed_bills.issuer_kind,
        issuer_labels.label_en as issuer_label_en,
        issuer_labels.label_zh as issuer_label_zh,
        bucketed_bills.ladder_status,
        status_labels.label_en as status_label_en,
        status_labels.label_zh as status_label_zh,
        bucketed_bills.bucket_code,
        maturity_buckets.label_en as bucket_label_en,
        maturity_buckets.label_zh as bucket_label_zh,
        maturity_buckets.bucket_order,
        cast(bucketed_bills.count_bills as integer) as count_bills,
        cast(bucketed_bills.bill_amount as decimal(18, 2)) as bill_amount,
        cast(bucketed_bills.document_bill_amount as decimal(18, 2)) as document_bill_amount,
        {{ or_zero('bucketed_bills.outstanding_amount') }} as outstanding_amount,
        {{ or_zero('bucketed_bills.contingent_amount') }} as contingent_amount,
        bucketed_bills.first_matures_on,
        bucketed_bills.last_matures_on,
        {{ mean_of('bucketed_bills.amount_days', 'bucketed_bills.bill_amount') }}
            as mean_days_to_maturity
    from bucketed_bills
    inner join maturity_buckets on bucketed_bills.bucket_code = maturity_buckets.bucket_code
    left join customers on bucketed_bills.customer_id = customers.customer_id
    left join issuer_labels on bucketed_bills.issuer_kind = issuer_labels.code
    left join status_labels on bucketed_bills.ladder_status = status_labels.code
)

select * from final
