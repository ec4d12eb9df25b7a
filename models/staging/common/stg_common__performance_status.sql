with typed as (
    {{ typed_source('performance_status') }}
)

select
    src_rid,
    patient_key,
    record_id,
    scale,
    score,
    assessed_date,
    recorded_date
from typed
where reject_reason is null
