-- Whether a metastasis is of the study's disease. Where the record names its primary, that one says
-- so. Where it names none, all primaries of the patient that may metastasise must say the same: with a
-- second cancer of another kind nobody knows whose metastasis it is.

with primaries as (
    select
        study_id,
        patient_key,
        diagnosis_id,
        count_if(in_disease_list) = count(*) as is_in_list,
        count_if(not in_disease_list) = count(*) as is_another,
        count_if(may_metastasise) > 0 as may_metastasise
    from {{ ref('int_study_primaries') }}
    group by study_id, patient_key, diagnosis_id
),

patients as (
    select
        study_id,
        patient_key,
        count_if(is_in_list) > 0
        and count_if(is_in_list or not may_metastasise) = count(*) as all_in_list,
        count_if(is_another) = count(*) as all_others
    from primaries
    group by study_id, patient_key
),

final as (
    select
        patients.study_id,
        patients.patient_key,
        metastases.diagnosis_id,
        case
            when metastases.diagnosis_id is null and patients.all_in_list then true
            when metastases.diagnosis_id is null and patients.all_others then false
            when primaries.is_in_list then true
            when primaries.is_another then false
        end as is_of_disease,
        metastases.organ,
        metastases.metastasis_date,
        metastases.src_rid
    from {{ ref('stg_common__metastases') }} as metastases
    inner join {{ ref('studies') }} as studies
        on metastases.metastasis_date <= studies.data_cutoff
    inner join patients
        on
            metastases.patient_key = patients.patient_key
            and studies.study_id = patients.study_id
    left join primaries
        on
            patients.study_id = primaries.study_id
            and patients.patient_key = primaries.patient_key
            and metastases.diagnosis_id = primaries.diagnosis_id
)

select * from final
