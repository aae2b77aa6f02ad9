{#- Kaplan and Meier: the log of the share still open after an age, of those at risk of closing at
    it; null where all who are left close. An exact decimal, to be added up over the ages. -#}
{% macro log_share_left_open() -%}
    case
                when count_closed < count_at_risk
                    then cast(
                        round(ln(1 - count_closed / cast(count_at_risk as double)), 12)
                        as decimal(18, 12)
                    )
            end
{%- endmacro %}

{#-
    Columns that add open deals up: what is open, what of it is late, and what is forecast by the
    probability stated and by the one that history tells, with an interval. The spread has two
    parts: each deal is won or lost whole (sum of amount squared x p x (1 - p)), and the rate they
    all hang on is known as well as the closed deals tell it (square of the sum of amount x
    p x (1 - p), times the standard error of its log odds). Normal, within what is open at most.
-#}
{% macro open_deal_sums() -%}
    count(*) as count_open,
    count(*) filter (where opportunity_amount is null) as count_without_value,
    {{ sum_amount('opportunity_amount') }} as open_amount,
    count(*) filter (where is_overdue) as count_overdue,
    {{ sum_amount('case when is_overdue then opportunity_amount end') }} as overdue_amount,
    count(*) filter (where stated_probability is null) as count_without_probability,
    sum(stated_amount) as stated_forecast_amount,
    sum(calibrated_amount) as calibrated_forecast_amount,
    sum(
        case when calibration_status = 'known' then opportunity_amount end
    ) as calibrated_open_amount,
    sum(
        cast(
            power(cast(opportunity_amount as double), 2)
            * calibrated_probability * (1 - calibrated_probability) as decimal(38, 4)
        )
    ) as outcome_variance,
    sum(
        cast(
            cast(opportunity_amount as double)
            * calibrated_probability * (1 - calibrated_probability) * log_odds_error
            as decimal(38, 4)
        )
    ) as rate_error
{%- endmacro %}

{#- The amount so many standard errors from the forecast, within nothing and all that is open. -#}
{% macro forecast_bound(sums, sign) -%}
    cast(
        greatest(
            0, least(
                cast({{ sums }}.calibrated_open_amount as double),
                cast({{ sums }}.calibrated_forecast_amount as double)
                {{ sign }} cast(pipeline_rules.interval_quantile as double) * sqrt(
                    cast({{ sums }}.outcome_variance as double)
                    + power(cast({{ sums }}.rate_error as double), 2)
                )
            )
        ) as decimal(18, 2)
    )
{%- endmacro %}
