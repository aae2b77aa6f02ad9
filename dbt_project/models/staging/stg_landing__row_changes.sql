-- Deleted and held rows are kept here: a deletion is a change, and so is a row that is released.
select
    'customers' as feed,
    customer_id as row_key,
    customer_id,
    cast(null as {{ dbt.type_string() }}) as order_id,
    cast(null as date) as business_on,
    _changed_in as changed_in
from {{ source('landing', 'customers') }}
union all
select
    'products' as feed,
    product_id as row_key,
    cast(null as {{ dbt.type_string() }}) as customer_id,
    cast(null as {{ dbt.type_string() }}) as order_id,
    cast(null as date) as business_on,
    _changed_in as changed_in
from {{ source('landing', 'products') }}
union all
select
    'orders' as feed,
    order_id as row_key,
    customer_id,
    order_id,
    ordered_on as business_on,
    _changed_in as changed_in
from {{ source('landing', 'orders') }}
union all
select
    'order_lines' as feed,
    order_id as row_key,
    cast(null as {{ dbt.type_string() }}) as customer_id,
    order_id,
    cast(null as date) as business_on,
    _changed_in as changed_in
from {{ source('landing', 'order_lines') }}
union all
select
    'invoices' as feed,
    invoice_id as row_key,
    customer_id,
    order_id,
    invoiced_on as business_on,
    _changed_in as changed_in
from {{ source('landing', 'invoices') }}
union all
select
    'payments' as feed,
    payment_id as row_key,
    customer_id,
    order_id,
    received_on as business_on,
    _changed_in as changed_in
from {{ source('landing', 'payments') }}
union all
-- a dishonoured bill stops paying on the day it should have been cash
select
    'payments' as feed,
    payment_id as row_key,
    customer_id,
    order_id,
    bill_matures_on as business_on,
    _changed_in as changed_in
from {{ source('landing', 'payments') }}
where bill_status = 'dishonoured'
union all
select
    'survey_responses' as feed,
    response_id as row_key,
    customer_id,
    order_id,
    answered_on as business_on,
    _changed_in as changed_in
from {{ source('landing', 'survey_responses') }}
