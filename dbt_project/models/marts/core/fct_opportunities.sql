{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_changed('opportunity_id', changed_rows('opportunities')) }}",
) }}
-- depends_on: {{ ref('int_rows_changed') }}
-- depends_on: {{ ref('int_customers_changed') }}

with opportunities as (
    select
        *,
        coalesce(currency, {{ reporting_currency() }}) as document_currency,
        -- the feed has the latest state: what a later closing brought is not known yet
        coalesce(closed_on > {{ as_of_date() }}, false) as is_closed_later
    from {{ ref('stg_landing__opportunities') }}
    where
        opened_on <= {{ as_of_date() }}
        and {{ where_changed('opportunity_id', changed_rows('opportunities')) }}
),

fx_days as (
    select * from {{ ref('stg_landing__fx_days') }}
),

rated_opportunities as (
    select
        opportunities.*,
        {{ rate_into_reporting('opportunities.document_currency', 'fx_days.rate') }} as fx_rate
    from opportunities
    left join fx_days
        on
            opportunities.document_currency = fx_days.currency
            and opportunities.opened_on = fx_days.valid_on
),

final as (
    select
        opportunity_id,
        customer_id,
        source_customer_id,
        opened_on,
        expected_on,
        case when not is_closed_later then closed_on end as closed_on,
        -- which stage it had reached by then, the feed does not tell
        case when is_closed_later and stage in ('won', 'lost') then 'open' else stage end as stage,
        case when not is_closed_later then is_won end as is_won,
        account_manager,
        case when not is_closed_later then lost_reason end as lost_reason,
        case when not is_closed_later then win_probability end as win_probability,
        {{ reporting_currency() }} as currency,
        document_currency,
        fx_rate,
        rated_opportunities.opportunity_amount as document_amount,
        {{ in_reporting_currency('rated_opportunities.opportunity_amount', 'fx_rate') }}
            as opportunity_amount
    from rated_opportunities
)

select * from final
