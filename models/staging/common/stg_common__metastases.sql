with typed as (
    {{ typed_source('metastases') }}
)

select
    src_rid,
    patient_key,
    metastasis_id,
    diagnosis_id,
    organ,
    metastasis_date,
    method,
    recorded_date
from typed
where reject_reason is null
