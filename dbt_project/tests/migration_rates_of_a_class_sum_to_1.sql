-- Whoever was in a class is found in one class a month later.
select
    month_on,
    dimension,
    from_class
from {{ ref('segment_migration') }}
group by month_on, dimension, from_class
having
    sum(count_customers) <> max(count_from)
    or min(count_from) <> max(count_from)
    or abs(sum(migration_rate) - 1) > 0.000000001
