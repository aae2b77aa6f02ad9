-- Python models read no dates: the parameters without a code that are in force
select
    parameter,
    value
from {{ ref('voice_parameters') }}
where code is null and {{ is_in_force() }}
