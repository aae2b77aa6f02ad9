with model_runs as (
    select * from {{ ref('int_credit_model_runs') }}
    where is_in_force
),

scores as (
    select * from {{ ref('credit_scores') }}
    where model_basis = 'scorecard'
),

parameters as (
    select
        max(value) filter (where parameter = 'psi_watch') as psi_watch,
        max(value) filter (where parameter = 'psi_shifted') as psi_shifted
    from {{ ref('credit_scorecard_parameters') }}
    where {{ is_in_force() }}
),

-- score bands of the customers fitted on: ten of about equal numbers, fewer where scores tie
bands as (
    {%- for number in range(10) %}
        select
            model,
            version,
            {{ number + 1 }} as band_no,
            {% if number == 0 -%}
                cast(null as integer)
            {%- else -%}
                {{ json_count('artefact', '$.population.edges[' ~ (number - 1) ~ ']') }}
            {%- endif %} as score_from,
            {{ json_count('artefact', '$.population.edges[' ~ number ~ ']') }} as score_until,
            {{ json_number('artefact', '$.population.shares[' ~ number ~ ']') }} as fitted_rate
        from model_runs
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        bands.model,
        bands.version,
        bands.band_no,
        bands.score_from,
        bands.score_until,
        bands.fitted_rate,
        count(scores.customer_id) as count_customers
    from bands
    left join scores
        on
            coalesce(bands.score_from <= scores.score, bands.score_from is null)
            and coalesce(bands.score_until > scores.score, bands.score_until is null)
    where bands.fitted_rate is not null
    group by
        bands.model,
        bands.version,
        bands.band_no,
        bands.score_from,
        bands.score_until,
        bands.fitted_rate
),

shares as (
    select
        *,
        {{ mean_of('count_customers', 'sum(count_customers) over ()') }} as current_rate
    from counted
),

-- an empty band counts as one in ten thousand
parts as (
    select
        *,
        (greatest(current_rate, 0.0001) - greatest(fitted_rate, 0.0001))
        * ln(greatest(current_rate, 0.0001) / greatest(fitted_rate, 0.0001)) as psi_part
    from shares
),

-- summed in one order: a sum of doubles hangs on it
totalled as (
    select
        *,
        sum(psi_part) over (
            order by band_no
            rows between unbounded preceding and unbounded following
        ) as psi
    from parts
),

final as (
    select
        totalled.model,
        totalled.version,
        totalled.band_no,
        {{ as_of_date() }} as as_of,
        totalled.score_from,
        totalled.score_until,
        totalled.fitted_rate,
        cast(totalled.count_customers as integer) as count_customers,
        totalled.current_rate,
        totalled.psi_part,
        totalled.psi,
        case
            when totalled.psi is null then 'unknown'
            when totalled.psi >= parameters.psi_shifted then 'shifted'
            when totalled.psi >= parameters.psi_watch then 'watch'
            else 'stable'
        end as drift_status
    from totalled
    cross join parameters
)

select * from final
