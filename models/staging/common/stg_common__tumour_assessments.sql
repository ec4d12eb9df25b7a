with typed as (
    {{ typed_source('tumour_assessments') }}
)

select
    src_rid,
    patient_key,
    assessment_id,
    assessment_date,
    modality,
    criteria,
    timepoint,
    target_response,
    non_target_response,
    new_lesion,
    overall_response,
    reported_date
from typed
where reject_reason is null
