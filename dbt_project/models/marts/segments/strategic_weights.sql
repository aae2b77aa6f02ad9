{%- set compared = 'comparisons.importance * compared_weights.ahp_weight' -%}

with criteria as (
    select * from {{ ref('strategic_criteria') }}
    where {{ is_in_force() }}
),

judgements as (
    select * from {{ ref('strategic_pairwise') }}
    where {{ is_in_force() }}
),

random_indices as (
    select * from {{ ref('random_consistency_index') }}
    where {{ is_in_force() }}
),

measures as (
    select * from {{ ref('strategic_measures') }}
),

assessed_customers as (
    select customer_id from {{ ref('strategic_screenings') }}
    where is_screened_in
),

-- analytic hierarchy process: what the judgements say

matrix_size as (
    select count(*) as count_criteria from criteria
),

-- the half that is written down and its reciprocal; the diagonal is one
comparisons as (
    select
        criterion_a as criterion,
        criterion_b as other_criterion,
        cast(importance as double) as importance
    from judgements
    union all
    select
        criterion_b as criterion,
        criterion_a as other_criterion,
        1 / cast(importance as double) as importance
    from judgements
),

row_means as (
    select
        criteria.criterion,
        count(comparisons.criterion) as count_comparisons,
        count(distinct partners.criterion) filter (
            where partners.criterion <> criteria.criterion
        ) as count_partners,
        exp(
            cast(coalesce(sum({{ to_exact('ln(comparisons.importance)') }}), 0) as double)
            / max(matrix_size.count_criteria)
        ) as geometric_mean
    from criteria
    cross join matrix_size
    left join comparisons on criteria.criterion = comparisons.criterion
    left join criteria as partners on comparisons.other_criterion = partners.criterion
    group by criteria.criterion
),

ahp_weights as (
    select
        *,
        geometric_mean
        / cast(sum({{ to_exact('geometric_mean') }}) over () as double) as ahp_weight
    from row_means
),

-- (A w) / w of each row; their mean is the principal eigenvalue's estimate
row_ratios as (
    select
        ahp_weights.criterion,
        1 + coalesce(
            cast(
                sum({{ to_exact(compared) }}) as double
            ) / max(ahp_weights.ahp_weight),
            0
        ) as row_ratio
    from ahp_weights
    left join comparisons on ahp_weights.criterion = comparisons.criterion
    left join ahp_weights as compared_weights
        on comparisons.other_criterion = compared_weights.criterion
    group by ahp_weights.criterion
),

eigenvalue as (
    select
        count(*) as count_criteria,
        cast(sum({{ to_exact('row_ratio') }}) as double) / count(*) as lambda_max
    from row_ratios
),

consistency as (
    select
        eigenvalue.count_criteria,
        eigenvalue.lambda_max,
        random_indices.random_index,
        random_indices.consistency_ratio_limit,
        case
            when eigenvalue.count_criteria > 2
                then
                    (eigenvalue.lambda_max - eigenvalue.count_criteria)
                    / (eigenvalue.count_criteria - 1)
            -- one judgement cannot contradict itself
            else 0
        end as consistency_index
    from eigenvalue
    left join random_indices on eigenvalue.count_criteria = random_indices.count_criteria
),

-- entropy method: how far the assessed customers differ

known_values as (
    {{ each_criterion(
        "select
        ':criterion' as criterion,
        measures.:criterion_measure as measured_value
    from measures
    inner join assessed_customers on measures.customer_id = assessed_customers.customer_id
    where measures.:criterion_measure is not null",
        '\n    union all\n    ',
    ) }}
),

-- what is below zero counts as zero: a share must not be negative
directed_values as (
    select
        known_values.criterion,
        greatest(
            case
                when criteria.direction = 'lower'
                    then
                        max(known_values.measured_value) over by_criterion
                        + min(known_values.measured_value) over by_criterion
                        - known_values.measured_value
                else known_values.measured_value
            end,
            0
        ) as directed_value
    from known_values
    inner join criteria on known_values.criterion = criteria.criterion
    window by_criterion as (partition by known_values.criterion)
),

value_totals as (
    select
        criterion,
        count(*) as count_customers,
        max(directed_value) = min(directed_value) as is_constant,
        cast(sum({{ to_exact('directed_value') }}) as double) as value_total
    from directed_values
    group by criterion
),

entropies as (
    select
        value_totals.criterion,
        value_totals.count_customers,
        case
            when value_totals.count_customers < 2 then null
            when value_totals.is_constant then 1
            else cast(-sum(
                case
                    when directed_values.directed_value > 0
                        then {{ to_exact(
                            'directed_values.directed_value / value_totals.value_total'
                            ~ ' * ln(directed_values.directed_value / value_totals.value_total)'
                        ) }}
                    else 0
                end
            ) as double) / ln(value_totals.count_customers)
        end as entropy
    from value_totals
    inner join directed_values on value_totals.criterion = directed_values.criterion
    group by
        value_totals.criterion,
        value_totals.count_customers,
        value_totals.is_constant,
        value_totals.value_total
),

entropy_weights as (
    select
        *,
        -- null where no criterion tells the customers apart
        (1 - entropy)
        / nullif(cast(sum({{ to_exact('1 - entropy') }}) over () as double), 0) as entropy_weight
    from entropies
),

final as (
    select
        criteria.criterion,
        {{ as_of_date() }} as as_of,
        cast(criteria.criterion_order as integer) as criterion_order,
        criteria.label_en as criterion_label_en,
        criteria.label_zh as criterion_label_zh,
        criteria.definition_en,
        criteria.definition_zh,
        criteria.direction,
        criteria.owner as criterion_owner,
        round(ahp_weights.ahp_weight, 12) as ahp_weight,
        round(entropy_weights.entropy_weight, 12) as entropy_weight,
        round(entropy_weights.entropy, 12) as entropy,
        cast(coalesce(entropy_weights.count_customers, 0) as integer) as count_customers,
        cast(consistency.count_criteria as integer) as count_criteria,
        cast(ahp_weights.count_comparisons as integer) as count_comparisons,
        cast(ahp_weights.count_partners as integer) as count_partners,
        round(consistency.lambda_max, 12) as lambda_max,
        round(consistency.consistency_index, 12) as consistency_index,
        case
            when consistency.count_criteria > 2
                then round(consistency.consistency_index / consistency.random_index, 12)
            else 0
        end as consistency_ratio,
        consistency.consistency_ratio_limit,
        criteria.version as criteria_version
    from criteria
    cross join consistency
    inner join ahp_weights on criteria.criterion = ahp_weights.criterion
    left join entropy_weights on criteria.criterion = entropy_weights.criterion
)

select * from final
