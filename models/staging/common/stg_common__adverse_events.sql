with typed as (
    {{ typed_source('adverse_events') }}
)

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
from typed
where reject_reason is null
