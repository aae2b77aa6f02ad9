{#-
    How each feed is keyed, whom it names, and the business dates on which its row comes into view:
    later_on is the second date of a row that means something else from then on (a bill is cash on
    the day it is passed on, and a dishonoured one stops paying on the day of its refusal, or on
    the day it should have been cash), other_later_on a third.
-#}
{%- set feeds = {
    'customers': {
        'row_key': 'customer_id', 'has_customer': true, 'business_on': 'onboarded_on',
    },
    'products': {'row_key': 'product_id'},
    'fx_rates': {
        'row_key': "concat(cast(rate_on as " ~ dbt.type_string() ~ "), '/', currency)",
        'business_on': 'rate_on',
    },
    'market_prices': {
        'row_key': "concat(cast(price_on as " ~ dbt.type_string() ~ "), '/', price_code)",
        'business_on': 'price_on',
    },
    'orders': {
        'row_key': 'order_id', 'has_customer': true, 'has_order': true,
        'business_on': 'ordered_on',
    },
    'order_lines': {'row_key': 'order_id', 'has_order': true},
    'deliveries': {
        'row_key': 'delivery_id', 'has_order': true, 'business_on': 'delivered_on',
    },
    'invoices': {
        'row_key': 'invoice_id', 'has_customer': true, 'has_order': true,
        'business_on': 'invoiced_on',
    },
    'payments': {
        'row_key': 'payment_id', 'has_customer': true, 'has_order': true,
        'business_on': 'received_on',
        'later_on': "coalesce(bill_status_on, case when bill_status = 'dishonoured' then "
            ~ "bill_matures_on end)",
    },
    'survey_responses': {
        'row_key': 'response_id', 'has_customer': true, 'has_order': true,
        'business_on': 'answered_on',
    },
    'complaints': {
        'row_key': 'complaint_id', 'has_customer': true, 'has_order': true,
        'business_on': 'opened_on', 'later_on': 'resolved_on',
        'other_later_on': 'cast(responded_at as date)',
    },
    'interactions': {
        'row_key': 'interaction_id', 'has_customer': true, 'business_on': 'occurred_on',
    },
    'opportunities': {
        'row_key': 'opportunity_id', 'has_customer': true, 'business_on': 'opened_on',
        'later_on': 'closed_on',
    },
    'customer_costs': {
        'row_key': 'cost_id', 'has_customer': true, 'business_on': 'incurred_on',
    },
} -%}
{%- set no_text = 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
{%- set no_date = 'cast(null as date)' -%}

-- Deleted and held rows are kept here: a deletion is a change, and so is a row that is released.
{% for feed, columns in feeds.items() -%}
    select
        '{{ feed }}' as feed,
        {{ columns.row_key }} as row_key,
        {{ '_customer_id' if columns.has_customer else no_text }} as customer_id,
        {{ 'customer_id' if columns.has_customer else no_text }} as source_customer_id,
        {{ 'order_id' if columns.has_order else no_text }} as order_id,
        {{ columns.business_on or no_date }} as business_on,
        {{ columns.later_on or no_date }} as later_on,
        {{ columns.other_later_on or no_date }} as other_later_on,
        _held_reason is null and not is_deleted as is_accepted,
        _changed_in as changed_in
    from {{ source('landing', feed) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
