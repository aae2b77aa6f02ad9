{%- set columns = customer_state_columns() | join(', ') -%}

with run_context as (
    select
        as_of,
        coalesce(parent_as_of, as_of) as parent_as_of,
        is_rebuild or {{ full_refresh_is_asked() }} as is_whole
    from {{ ref('stg_landing__run_context') }}
),

states_before as (
    select {{ columns }} from {{ ref('int_customer_states_before') }}
),

states as (
    select {{ columns }} from {{ ref('int_customer_states') }}
),

-- apart from the states, which are read once: twice, DuckDB would keep every column of every month
state_months as (
    select month_on from {{ ref('int_customer_states') }}
),

states_after as (
    select states.* from states
    {{ join_changed_months('states', 'states.month_on', true) }}
),

states_gone as (
    select * from states_before
    except
    select * from states_after
),

states_come as (
    select * from states_after
    except
    select * from states_before
),

first_changes as (
    select min(month_on) as first_month_on from states_gone
    union all
    select min(month_on) as first_month_on from states_come
    union all
    -- the months of both as-of dates end on another day than before
    select {{ month_start('least(as_of, parent_as_of)') }} as first_month_on from run_context
    union all
    select min(state_months.month_on) as first_month_on
    from state_months
    cross join run_context
    where run_context.is_whole
)

select min(first_month_on) as first_month_on from first_changes
