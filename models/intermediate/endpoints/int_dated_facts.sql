-- The dated facts that endpoints are made of, one row a fact. The seed endpoint_sources names which of
-- them are events and which are only proof that there was none.
-- A scan that could not be evaluated proves nothing, so it is no tumour assessment here.

select
    patient_key,
    'progression' as source,
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
