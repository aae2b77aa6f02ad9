with model_runs as (
    select * from {{ ref('int_credit_model_runs') }}
    where artefact is not null
),

-- a fit states up to ten bands
bands as (
    {%- for number in range(10) %}
        {%- set band = '$.calibration[' ~ number ~ ']' %}
        select
            model,
            version,
            release_sequence,
            fitted_as_of,
            is_in_force,
            {{ json_count('measures', band ~ '.bin_no') }} as band_no,
            {{ json_count('measures', band ~ '.count_rows') }} as count_rows,
            {{ json_count('measures', band ~ '.count_defaults') }} as count_defaults,
            {{ json_number('measures', band ~ '.expected_rate') }} as expected_rate,
            {{ json_number('measures', band ~ '.observed_rate') }} as observed_rate,
            {{ json_number('measures', band ~ '.lower') }} as observed_rate_low,
            {{ json_number('measures', band ~ '.upper') }} as observed_rate_high,
            {{ json_flag('measures', band ~ '.is_within') }} as is_within
        from model_runs
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        model,
        version,
        release_sequence,
        band_no,
        fitted_as_of,
        is_in_force,
        count_rows,
        count_defaults,
        expected_rate,
        observed_rate,
        observed_rate_low,
        observed_rate_high,
        is_within
    from bands
    where band_no is not null
)

select * from final
