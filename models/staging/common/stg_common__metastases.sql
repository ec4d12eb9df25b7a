select
    src_rid,
    patient_key,
    metastasis_id,
    diagnosis_id,
    organ,
    metastasis_date,
    method,
    recorded_date
from {{ ref('stg_extract__metastases') }}
where reject_reason is null
