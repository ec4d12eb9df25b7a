select
    src_rid,
    patient_key,
    consent_id,
    purpose,
    decision,
    consent_date
from {{ ref('stg_extract__consent') }}
where reject_reason is null
