with typed as (
    {{ typed_source('comorbidities') }}
)

select
    src_rid,
    patient_key,
    comorbidity_id,
    icd10,
    condition_text,
    severity,
    onset_date_earliest,
    onset_date_latest,
    onset_date_precision,
    recorded_date
from typed
where reject_reason is null
