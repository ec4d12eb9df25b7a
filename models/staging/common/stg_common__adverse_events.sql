select
    src_rid,
    patient_key,
    event_id,
    term,
    ctcae_version,
    grade,
    onset_date,
    end_date,
    attribution,
    recorded_date
from {{ ref('stg_extract__adverse_events') }}
where reject_reason is null
