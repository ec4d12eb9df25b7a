-- Every exposure to an anticancer drug of a patient with an index date stands once in exposure_assignments,
-- under a line or with the reason for none.
with given as (
    select
        study_index.study_id,
        exposures.patient_key,
        count(*) as n_exposures
    from {{ ref('int_drug_exposures') }} as exposures
    inner join {{ ref('int_study_index') }} as study_index
        on exposures.patient_key = study_index.patient_key
    where exposures.is_anticancer
    group by study_index.study_id, exposures.patient_key
),

placed as (
    select
        study_id,
        patient_key,
        count(*) as n_exposures
    from {{ ref('exposure_assignments') }}
    group by study_id, patient_key
)

select
    coalesce(given.study_id, placed.study_id) as study_id,
    coalesce(given.patient_key, placed.patient_key) as patient_key
from given
full join placed
    on
        given.study_id = placed.study_id
        and given.patient_key = placed.patient_key
where given.n_exposures is distinct from placed.n_exposures
