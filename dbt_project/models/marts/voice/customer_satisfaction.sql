{%- set parameter_names = [
    'normal_quantile', 'significance', 'answers_at_least',
    'thin_below', 'prior_answers', 'trend_answers_at_least', 'response_rate_at_least',
] -%}
{%- set bounds = [
    ('year', 'low', '-'), ('year', 'high', '+'), ('month', 'low', '-'), ('month', 'high', '+'),
] -%}

with customers as (
    select * from {{ ref('dim_customers') }}
),

segment_history as (
    select * from {{ ref('customer_segment_history') }}
),

voice_texts as (
    select * from {{ ref('voice_texts') }}
    where {{ is_in_force() }}
),

code_labels as (
    select * from {{ ref('code_labels') }}
    where domain = 'customer_type' and {{ is_in_force() }}
),

segment_labels as (
    select distinct
        segment,
        label_en,
        label_zh
    from {{ ref('rfm_segment_map') }}
    where {{ is_in_force() }}
),

parameters as (
    select * from {{ parameters_in_force('voice_parameters', parameter_names) }}
),

t_quantiles as (
    select
        cast(code as integer) as degrees,
        value as t_quantile
    from {{ ref('voice_parameters') }}
    where parameter = 't_quantile' and {{ is_in_force() }}
),

means as (
    select
        *,
        points_year / nullif(n_year, 0) as mean_year,
        points_month / nullif(n_month, 0) as mean_month
    from {{ ref('int_satisfaction_sums') }}
),

-- between customers, and of the answers as if each were another customer's; rounded: an exact zero
-- must not show as the last bit of a difference
both_variances as (
    select
        {%- for window in ['year', 'month'] %}
            {%- for kind, squares in [
                (
                    'between',
                    'squares_' ~ window ~ ' - 2 * mean_' ~ window ~ ' * products_' ~ window
                    ~ ' + power(mean_' ~ window ~ ', 2) * sizes_' ~ window,
                ),
                ('own', 'own_squares_' ~ window ~ ' - points_' ~ window ~ ' * mean_' ~ window),
            ] %}
                round(
                    greatest({{ squares }}, 0) / nullif(power(n_{{ window }}, 2), 0)
                    -- the mean of a scale has Student's interval, shares have their own
                    * case
                        when measure = 'ces'
                            then clusters_{{ window }} / nullif(clusters_{{ window }} - 1, 0)
                        else 1
                    end,
                    12
                ) as {{ kind }}_variance_{{ window }},
            {%- endfor %}
        {%- endfor %}
        *
    from means
),

-- few customers may lie near each other by chance: their answers tell no more than those of as
-- many customers would
variances as (
    select
        {%- for window in ['year', 'month'] %}
            case
                when between_variance_{{ window }} > 0
                    then greatest(between_variance_{{ window }}, own_variance_{{ window }})
                else between_variance_{{ window }}
            end as variance_{{ window }},
        {%- endfor %}
        *
    from both_variances
),

half_widths as (
    select
        {%- for window in ['year', 'month'] %}
            case
                when variances.measure = 'ces'
                    then
                        coalesce(
                            {{ window }}_quantiles.t_quantile,
                            {{ student_quantile(
                                'parameters.normal_quantile',
                                'nullif(variances.clusters_' ~ window ~ ' - 1, 0)',
                            ) }}
                        )
                else parameters.normal_quantile
            end as quantile_{{ window }},
            -- answers of one customer tell less than as many customers would
            case
                when variances.measure = 'csat' and variances.variance_{{ window }} > 0
                    then
                        variances.mean_{{ window }} * (1 - variances.mean_{{ window }})
                        / variances.variance_{{ window }}
                else variances.clusters_{{ window }}
            end as effective_{{ window }},
        {%- endfor %}
        variances.*,
        parameters.normal_quantile,
        parameters.answers_at_least,
        parameters.trend_answers_at_least,
        parameters.significance,
        parameters.thin_below,
        parameters.prior_answers
    from variances
    cross join parameters
    left join t_quantiles as year_quantiles
        on variances.clusters_year - 1 = year_quantiles.degrees
    left join t_quantiles as month_quantiles
        on variances.clusters_month - 1 = month_quantiles.degrees
),

intervals as (
    select
        *,
        -- so many different customers; of a customer's own value, so many answers
        clusters_year >= answers_at_least
        and (measure = 'csat' or variance_year > 0) as has_interval_year,
        clusters_month >= answers_at_least
        and (measure = 'csat' or variance_month > 0) as has_interval_month,
        {%- for window, bound, sign in bounds %}
            case
                when measure = 'csat'
                    then
                        {{ wilson_bound(
                            'mean_' ~ window, 'effective_' ~ window, 'quantile_' ~ window, sign
                        ) }}
                else
                    mean_{{ window }} {{ sign }} quantile_{{ window }}
                    * sqrt(variance_{{ window }})
            end as {{ bound }}_{{ window }},
        {%- endfor %}
        case measure when 'ces' then 7.0 else 1.0 end as highest,
        case measure when 'nps' then -1.0 when 'csat' then 0.0 else 1.0 end as lowest
    from half_widths
),

-- never beyond the scale
bounded_intervals as (
    select
        {%- for window, bound, sign in bounds %}
            case
                when has_interval_{{ window }}
                    then least(greatest({{ bound }}_{{ window }}, lowest), highest)
            end as bounded_{{ bound }}_{{ window }},
        {%- endfor %}
        *
    from intervals
),

-- the 12 months before: no answer counts in both
changes as (
    select
        this_year.*,
        this_year.mean_year - year_before.mean_year as mean_change,
        year_before.n_year as n_before,
        year_before.mean_year as mean_before,
        case
            when
                this_year.n_year >= this_year.trend_answers_at_least
                and year_before.n_year >= this_year.trend_answers_at_least
                -- the errors are of customers: of a few they tell nothing, however many answers
                and this_year.has_interval_year
                and year_before.has_interval_year
                and this_year.variance_year + year_before.variance_year > 0
                then
                    {{ normal_p_value(
                        '((this_year.mean_year - year_before.mean_year)'
                        ~ ' / sqrt(this_year.variance_year + year_before.variance_year))'
                    ) }}
        end as p_value
    from bounded_intervals as this_year
    left join bounded_intervals as year_before
        on
            this_year.dimension = year_before.dimension
            and this_year.member = year_before.member
            and this_year.measure = year_before.measure
            and {{ add_months('this_year.month_on', -voice_window_months()) }}
            = year_before.month_on
),

ranked_changes as (
    select
        *,
        rank() over (
            partition by dimension, measure, month_on order by p_value asc nulls last
        ) as p_place,
        count(p_value) over (partition by dimension, measure, month_on) as p_count
    from changes
),

tested_changes as (
    select
        *,
        {{ is_discovery('significance', 'dimension, measure, month_on') }}
            as is_trend_significant
    from ranked_changes
),

-- how the book's change splits: each segment's own at its former share, and the rest, the mix
segment_changes as (
    select
        segments.measure,
        segments.month_on,
        sum(segments.n_before * segments.mean_change) / nullif(max(book.n_before), 0)
            as within_change
    from changes as segments
    inner join changes as book
        on
            segments.measure = book.measure
            and segments.month_on = book.month_on
            and book.dimension = 'book'
    where segments.dimension = 'segment' and segments.mean_change is not null
    group by segments.measure, segments.month_on
),

response_shares as (
    select
        *,
        (count_at_risk - count_at_risk_respondents)
        / nullif(count_customers - count_respondents, 0)
        - count_at_risk_respondents / nullif(count_respondents, 0) as nonresponse_difference,
        sqrt(
            count_at_risk / count_customers * (1 - count_at_risk / count_customers)
            * (
                1 / nullif(count_respondents, 0)
                + 1 / nullif(count_customers - count_respondents, 0)
            )
        ) as difference_error
    from {{ ref('int_satisfaction_sums') }}
    where count_customers > 0
),

response_tests as (
    select
        *,
        case
            when difference_error > 0
                then {{ normal_p_value('(nonresponse_difference / difference_error)') }}
        end as nonresponse_p_value
    from response_shares
),

-- of whom something is told: whoever answered, and in the as-of month everybody
members_of_today as (
    select
        'book' as dimension,
        'all' as member
    union all
    select
        'customer' as dimension,
        customer_id as member
    from customers
),

empty_members as (
    select
        members_of_today.dimension,
        members_of_today.member,
        measures.code as measure,
        {{ month_start(as_of_date()) }} as month_on
    from members_of_today
    cross join voice_texts as measures
    where
        measures.area = 'measure'
        and not exists (
            select 1
            from tested_changes
            where
                tested_changes.dimension = members_of_today.dimension
                and tested_changes.member = members_of_today.member
                and tested_changes.measure = measures.code
                and tested_changes.month_on = {{ month_start(as_of_date()) }}
        )
),

all_members as (
    select
        dimension,
        member,
        measure,
        month_on
    from tested_changes
    union all
    select
        dimension,
        member,
        measure,
        month_on
    from empty_members
),

-- a customer leans on its segment of that month, all others on the book
joined_members as (
    select
        all_members.dimension,
        all_members.member,
        all_members.measure,
        all_members.month_on,
        tested_changes.n_month,
        tested_changes.mean_month,
        tested_changes.bounded_low_month,
        tested_changes.bounded_high_month,
        coalesce(tested_changes.n_year, 0) as n_year,
        tested_changes.mean_year,
        tested_changes.bounded_low_year,
        tested_changes.bounded_high_year,
        tested_changes.mean_change,
        tested_changes.p_value,
        tested_changes.is_trend_significant,
        case when all_members.dimension = 'book' then segment_changes.within_change end
            as within_change,
        parameters.thin_below,
        parameters.prior_answers,
        parameters.response_rate_at_least,
        parameters.significance,
        case
            when all_members.dimension = 'book' then null
            when all_members.dimension = 'customer' and segment.n_year > 0 then 'segment'
            when book.n_year > 0 then 'book'
        end as shrunk_towards,
        coalesce(
            case when all_members.dimension = 'customer' then segment.mean_year end,
            case when all_members.dimension <> 'book' then book.mean_year end
        ) as prior_mean,
        coalesce(book.n_year, 0) as n_book,
        case all_members.measure when 'nps' then 100.0 else 1.0 end as unit
    from all_members
    cross join parameters
    left join tested_changes
        on
            all_members.dimension = tested_changes.dimension
            and all_members.member = tested_changes.member
            and all_members.measure = tested_changes.measure
            and all_members.month_on = tested_changes.month_on
    left join segment_history
        on
            all_members.dimension = 'customer'
            and all_members.member = segment_history.customer_id
            and all_members.month_on = segment_history.month_on
    left join tested_changes as segment
        on
            segment.dimension = 'segment'
            and coalesce(segment_history.rfm_segment, 'none') = segment.member
            and all_members.measure = segment.measure
            and all_members.month_on = segment.month_on
    left join tested_changes as book
        on
            book.dimension = 'book'
            and all_members.measure = book.measure
            and all_members.month_on = book.month_on
    left join segment_changes
        on
            all_members.measure = segment_changes.measure
            and all_members.month_on = segment_changes.month_on
),

judged_members as (
    select
        *,
        case
            when n_year > 0 and bounded_low_year is not null then 'known'
            when n_year > 0 then 'too_few'
            when not {{ has_feed('survey_responses') }} then 'no_feed'
            when n_book = 0 then 'not_asked'
            else 'none_yet'
        end as status
    from joined_members
),

final as (
    select
        judged_members.dimension,
        dimension_texts.label_en as dimension_label_en,
        dimension_texts.label_zh as dimension_label_zh,
        judged_members.member,
        coalesce(
            segment_labels.label_en, code_labels.label_en, customers.customer_name,
            member_texts.label_en, judged_members.member
        ) as member_label_en,
        coalesce(
            segment_labels.label_zh, code_labels.label_zh, customers.customer_name,
            member_texts.label_zh, judged_members.member
        ) as member_label_zh,
        judged_members.measure,
        measure_texts.label_en as measure_label_en,
        measure_texts.label_zh as measure_label_zh,
        judged_members.month_on,
        {{ state_on('judged_members.month_on') }} as state_on,
        cast(coalesce(judged_members.n_month, 0) as integer) as n,
        round(judged_members.unit * judged_members.mean_month, 6) as value,
        round(judged_members.unit * judged_members.bounded_low_month, 6) as low,
        round(judged_members.unit * judged_members.bounded_high_month, 6) as high,
        cast(judged_members.n_year as integer) as n_12_months,
        round(judged_members.unit * judged_members.mean_year, 6) as value_12_months,
        round(judged_members.unit * judged_members.bounded_low_year, 6) as low_12_months,
        round(judged_members.unit * judged_members.bounded_high_year, 6) as high_12_months,
        judged_members.n_year > 0
        and judged_members.n_year < judged_members.thin_below
        and judged_members.prior_mean is not null as is_shrunk,
        -- six decimals: the last bits of a sum say nothing
        round(
            case
                when judged_members.n_year = 0 then null
                when judged_members.n_year >= judged_members.thin_below
                    then judged_members.unit * judged_members.mean_year
                else
                    judged_members.unit * coalesce(
                        (
                            judged_members.n_year * judged_members.mean_year
                            + judged_members.prior_answers * judged_members.prior_mean
                        ) / (judged_members.n_year + judged_members.prior_answers),
                        judged_members.mean_year
                    )
            end,
            6
        ) as shrunk_value,
        case
            when judged_members.n_year between 1 and judged_members.thin_below - 1
                then judged_members.shrunk_towards
        end as shrunk_towards,
        round(judged_members.unit * judged_members.mean_change, 6) as trend_change,
        judged_members.p_value as trend_p_value,
        coalesce(judged_members.is_trend_significant, false) as is_trend_significant,
        round(judged_members.unit * judged_members.within_change, 6) as trend_within_change,
        round(judged_members.unit * (judged_members.mean_change - judged_members.within_change), 6)
            as trend_mix_change,
        cast(response_tests.count_customers as integer) as count_customers,
        cast(response_tests.count_respondents as integer) as count_respondents,
        round(response_tests.count_respondents / response_tests.count_customers, 6)
            as response_rate,
        response_tests.nonresponse_difference,
        response_tests.nonresponse_p_value,
        case
            when response_tests.count_customers > 0
                then
                    coalesce(
                        response_tests.count_respondents / response_tests.count_customers
                        < judged_members.response_rate_at_least
                        and response_tests.nonresponse_p_value < judged_members.significance,
                        false
                    )
        end as is_nonresponse_biased,
        judged_members.status,
        status_texts.label_en as status_label_en,
        status_texts.label_zh as status_label_zh
    from judged_members
    left join response_tests
        on
            judged_members.dimension = response_tests.dimension
            and judged_members.member = response_tests.member
            and judged_members.measure = response_tests.measure
            and judged_members.month_on = response_tests.month_on
    left join voice_texts as dimension_texts
        on
            judged_members.dimension = dimension_texts.code
            and dimension_texts.area = 'satisfaction_dimension'
    left join voice_texts as measure_texts
        on judged_members.measure = measure_texts.code and measure_texts.area = 'measure'
    left join voice_texts as status_texts
        on
            judged_members.status = status_texts.code
            and status_texts.area = 'satisfaction_status'
    left join voice_texts as member_texts
        on judged_members.member = member_texts.code and member_texts.area = 'member'
    left join segment_labels
        on
            judged_members.dimension = 'segment'
            and judged_members.member = segment_labels.segment
    left join code_labels
        on
            judged_members.dimension = 'customer_type'
            and judged_members.member = code_labels.code
    left join customers
        on judged_members.dimension = 'customer' and judged_members.member = customers.customer_id
)

select * from final
