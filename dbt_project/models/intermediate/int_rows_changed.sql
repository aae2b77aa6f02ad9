-- Empty on a first release and on a rebuild: there every key is built anyway.
{%- set is_going_on = 'not ' ~ of_run_context('is_rebuild') %}
{%- set is_changed = 'changed_in >= ' ~ of_run_context('release_sequence') %}

-- each way into view is looked up for itself: an `or` of them would read every row that ever landed
with rows_in_view as (
    {%- for is_in_view in [
        is_changed,
        is_in_days_gone_by('business_on'),
        is_in_days_gone_by('later_on'),
        is_in_days_gone_by('other_later_on'),
    ] %}
        select
            feed,
            row_key,
            customer_id,
            order_id,
            least(business_on, later_on, other_later_on) as first_on
        from {{ ref('stg_landing__row_changes') }}
        where {{ is_going_on }} and {{ is_in_view }}
        {{ 'union' if not loop.last }}
    {%- endfor %}
),

-- a customer reads otherwise when the as-of date passes one of its versions
versions_in_view as (
    select
        'customers' as feed,
        source_customer_id as row_key,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        cast(null as date) as first_on
    from {{ ref('stg_landing__customer_versions') }}
    where {{ is_going_on }} and ({{ is_changed }} or {{ is_in_days_gone_by('updated_on') }})
)

select * from rows_in_view
union
select * from versions_in_view
