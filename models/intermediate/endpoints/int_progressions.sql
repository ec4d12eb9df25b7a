-- Progression is the investigator's overall response PD under RECIST 1.1 (Eisenhauer 2009), on the
-- day of the scan, not of the report. A modality that is not stated is a scan.

select
    patient_key,
    assessment_date as progression_date,
    coalesce(modality = 'clinical', false) as is_clinical,
    src_rid
from {{ ref('stg_common__tumour_assessments') }}
where overall_response = 'PD'
