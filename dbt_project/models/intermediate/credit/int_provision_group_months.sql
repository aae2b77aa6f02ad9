{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_months_from(first_running_month()) }}",
        "{{ delete_changed_months_of_customers(provisions_rebuilt_when()) }}",
    ],
) }}
-- depends_on: {{ ref('int_customers_changed') }}
-- depends_on: {{ ref('stg_landing__run_context') }}

{%- set is_partial = is_incremental() and not run_asks_for_rebuild(provisions_rebuilt_when()) %}

-- The group of a customer at the end of a month, by what was known of it then; and whether it was
-- in default, in which case each of its claims has at least the rate of a default.
with transitions as (
    {{ rows_of_months_again(
        ref('int_bucket_transitions'), 'month_on', first_running_month(), is_partial
    ) }}
),

customer_months as (
    select distinct
        customer_id,
        month_on,
        month_end_on
    from transitions
),

customer_history as (
    select * from {{ ref('dim_customer_history') }}
),

provision_groups as (
    select * from {{ ref('provision_groups') }}
),

loss_rules as (
    select * from {{ ref('loss_given_default') }}
),

defaults as (
    select * from {{ ref('int_credit_defaults') }}
),

default_months as (
    select distinct
        customer_months.customer_id,
        customer_months.month_on
    from customer_months
    inner join defaults
        on
            customer_months.customer_id = defaults.customer_id
            and {{ is_default_on('defaults', 'customer_months.month_end_on') }}
),

customer_profiles as (
    select
        customer_months.customer_id,
        customer_months.month_on,
        customer_months.month_end_on,
        coalesce(customer_history.customer_type, 'unknown') as customer_type,
        coalesce(customer_history.size_class, 'unknown') as size_class,
        coalesce(customer_history.industry, 'unknown') as industry
    from customer_months
    left join customer_history
        on
            customer_months.customer_id = customer_history.customer_id
            and {{ is_known_on('customer_history', 'customer_months.month_end_on') }}
    qualify row_number() over (
        partition by customer_months.customer_id, customer_months.month_on
        order by
            customer_history.is_main_record desc nulls last,
            customer_history.valid_from desc nulls last,
            customer_history.source_customer_id asc
    ) = 1
),

profiles as (
    select distinct
        month_end_on,
        customer_type,
        size_class,
        industry
    from customer_profiles
),

profile_groups as (
    select
        profiles.*,
        provision_groups.provision_group
    from profiles
    inner join provision_groups
        on
            {{ is_in_force_on('provision_groups', 'profiles.month_end_on') }}
            and coalesce(provision_groups.customer_type, profiles.customer_type)
            = profiles.customer_type
            and coalesce(provision_groups.size_class, profiles.size_class) = profiles.size_class
            and coalesce(provision_groups.industry, profiles.industry) = profiles.industry
    qualify row_number() over (
        partition by
            profiles.month_end_on, profiles.customer_type, profiles.size_class, profiles.industry
        order by provision_groups.rule_order asc
    ) = 1
),

profile_losses as (
    select
        profiles.*,
        loss_rules.loss_given_default
    from profiles
    inner join loss_rules
        on
            {{ is_in_force_on('loss_rules', 'profiles.month_end_on') }}
            and {{ loss_rule_fits('loss_rules', 'profiles') }}
    qualify row_number() over (
        partition by
            profiles.month_end_on, profiles.customer_type, profiles.size_class, profiles.industry
        order by loss_rules.rule_order asc
    ) = 1
),

final as (
    select
        customer_profiles.customer_id,
        customer_profiles.month_on,
        customer_profiles.month_end_on,
        customer_profiles.customer_type,
        customer_profiles.size_class,
        profile_groups.provision_group,
        profile_losses.loss_given_default,
        default_months.customer_id is not null as is_in_default,
        -- who is in default defaults with certainty: what is lost then is the rate
        case when default_months.customer_id is not null then profile_losses.loss_given_default end
            as default_rate
    from customer_profiles
    inner join profile_groups
        on
            customer_profiles.month_end_on = profile_groups.month_end_on
            and customer_profiles.customer_type = profile_groups.customer_type
            and customer_profiles.size_class = profile_groups.size_class
            and customer_profiles.industry = profile_groups.industry
    left join profile_losses
        on
            customer_profiles.month_end_on = profile_losses.month_end_on
            and customer_profiles.customer_type = profile_losses.customer_type
            and customer_profiles.size_class = profile_losses.size_class
            and customer_profiles.industry = profile_losses.industry
    left join default_months
        on
            customer_profiles.customer_id = default_months.customer_id
            and customer_profiles.month_on = default_months.month_on
)

select * from final
