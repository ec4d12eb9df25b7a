with typed as (
    {{ typed_source('diagnoses') }}
)

select
    src_rid,
    patient_key,
    diagnosis_id,
    diagnosis_date_earliest,
    diagnosis_date_latest,
    diagnosis_date_precision,
    icdo3_topography,
    icdo3_morphology,
    histology_text,
    differentiation,
    stage,
    recorded_date
from typed
where reject_reason is null
