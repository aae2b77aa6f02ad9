{#- The variables a scorecard may use: numbers, and levels. One list for the panel, the fit and the
    scoring; each has its sentence in credit_reason_texts. -#}
{% macro credit_numbers() -%}
    {{ return([
        'overdue_rate', 'overdue_over_30_rate', 'worst_overdue_days', 'worst_overdue_days_12_months',
        'delay_days_3_months', 'delay_days_12_months', 'delay_trend_days',
        'late_invoice_rate_12_months', 'months_overdue_12_months', 'bill_paid_rate_12_months',
        'dishonoured_bills_12_months', 'prepaid_rate_12_months', 'utilisation_rate',
        'order_trend_rate', 'months_since_order', 'months_since_payment',
        'collection_rate_12_months', 'balance_months', 'tenure_months', 'complaints_12_months',
        'defaults_before',
    ]) }}
{%- endmacro %}

{% macro credit_levels() -%}
    {{ return(['customer_type', 'industry', 'size_class', 'region']) }}
{%- endmacro %}

{#- The months of a customer's row, this one and so many before, as a window frame. -#}
{% macro last_months(count) -%}
    partition by customer_id
    order by month_on
    rows between {{ count - 1 }} preceding and current row
{%- endmacro %}

{#- Predicate on allocations joined to their claims: cash or a bill that paid an invoice. -#}
{% macro is_paid_invoice() -%}
    claims.document_kind = 'invoice'
    and allocations.credit_kind in ('receipt', 'prepayment')
    and allocations.basis <> 'reversal'
{%- endmacro %}
