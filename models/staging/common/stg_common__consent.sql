with typed as (
    {{ typed_source('consent') }}
)

select
    src_rid,
    patient_key,
    consent_id,
    purpose,
    decision,
    consent_date
from typed
where reject_reason is null
