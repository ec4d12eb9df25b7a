select
    src_rid,
    patient_key,
    record_id,
    scale,
    score,
    assessed_date,
    recorded_date
from {{ ref('stg_extract__performance_status') }}
where reject_reason is null
