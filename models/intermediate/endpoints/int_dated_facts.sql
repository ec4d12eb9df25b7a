-- The dated facts of a patient that endpoints are made of, one row a fact and day. The seed
-- endpoint_sources names which of them are events and which are only proof that there was none.
-- A scan that could not be evaluated proves nothing, so it is no tumour assessment here.
-- Progression that was found only clinically is not documented progression to the FDA (2018,
-- Clinical Trial Endpoints), so scans stand beside the assessments of any kind.

with facts as (
    select
        patient_key,
        'progression' as source,
        progression_date as fact_date,
        src_rid
    from {{ ref('int_progressions') }}
    union all
    select
        patient_key,
        case when is_clinical then 'clinical_progression' else 'radiographic_progression' end
            as source,
        progression_date as fact_date,
        src_rid
    from {{ ref('int_progressions') }}
    union all
    select
        patient_key,
        'last_tumour_assessment' as source,
        assessment_date as fact_date,
        src_rid
    from {{ ref('stg_common__tumour_assessments') }}
    where overall_response <> 'NE'
    union all
    select
        patient_key,
        'last_radiographic_assessment' as source,
        assessment_date as fact_date,
        src_rid
    from {{ ref('stg_common__tumour_assessments') }}
    where overall_response <> 'NE' and modality is distinct from 'clinical'
    union all
    select
        patient_key,
        'death' as source,
        death_date as fact_date,
        death_src_rid as src_rid
    from {{ ref('int_vital_status') }}
    where death_date is not null
    union all
    select
        patient_key,
        'last_contact' as source,
        last_contact_date as fact_date,
        last_contact_src_rid as src_rid
    from {{ ref('int_vital_status') }}
    union all
    select
        patient_key,
        'adverse_event' as source,
        onset_date as fact_date,
        src_rid
    from {{ ref('stg_common__adverse_events') }}
)

select
    patient_key,
    source,
    fact_date,
    min(src_rid) as src_rid
from facts
group by patient_key, source, fact_date
