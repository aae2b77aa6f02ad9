{#- Statistics that both engines compute from plain arithmetic. -#}

{#- Two-sided p-value of a standard normal statistic: erfc(|z| / sqrt 2) after Abramowitz & Stegun
    7.1.26, absolute error below 1.5e-7. -#}
{% macro normal_p_value(z) -%}
    {%- set t = '(1 / (1 + 0.3275911 * abs(' ~ z ~ ') / sqrt(2.0)))' -%}
    least(
            1.0,
            {{ t }} * (0.254829592 + {{ t }} * (-0.284496736 + {{ t }} * (1.421413741
            + {{ t }} * (-1.453152027 + {{ t }} * 1.061405429))))
            * exp(-power({{ z }}, 2) / 2)
        )
{%- endmacro %}

{#- A share's Wilson bound; `sign` is + or -. -#}
{% macro wilson_bound(share, count, quantile, sign) -%}
    (
            {{ share }} + power({{ quantile }}, 2) / (2 * {{ count }})
            {{ sign }} {{ quantile }} * sqrt(
                greatest({{ share }} * (1 - {{ share }}), 0) / {{ count }}
                + power({{ quantile }} / {{ count }}, 2) / 4
            )
        ) / (1 + power({{ quantile }}, 2) / {{ count }})
{%- endmacro %}

{#- Student's quantile from the normal one (Fisher & Cornish 1960): beyond 30 degrees of freedom
    within 1e-6 of it; below, the seed has the quantiles. -#}
{% macro student_quantile(quantile, degrees) -%}
    {{ quantile }} + (power({{ quantile }}, 3) + {{ quantile }}) / (4 * {{ degrees }})
            + (5 * power({{ quantile }}, 5) + 16 * power({{ quantile }}, 3) + 3 * {{ quantile }})
            / (96 * power({{ degrees }}, 2))
{%- endmacro %}

{#- Benjamini & Hochberg (1995): the test is significant at the false discovery rate. Reads
    `p_value`, its `p_place` among the family's `p_count`; the family is the partition. -#}
{% macro is_discovery(rate, family) -%}
    coalesce(
            p_value <= max(case when p_value <= {{ rate }} * p_place / p_count then p_value end)
                over (partition by {{ family }}),
            false
        )
{%- endmacro %}
