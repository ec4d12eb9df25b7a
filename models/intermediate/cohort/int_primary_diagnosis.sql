-- A patient may have several primaries. The one a study is about lies in its list of diseases; of
-- several, it is the one that metastasised first by the metastases that name it, else the earliest, and
-- of one day that of the highest stage, an unknown one next to IV, for it may be. One that was diagnosed,
-- and metastasised, only after the first metastasis did not give it. Where none lies in the list, the
-- earliest of all stands for why the patient is out, one that may lie in it before one that does not.

with first_metastases as (
    select
        study_id,
        patient_key,
        diagnosis_id,
        min(metastasis_date) as metastasis_date
    from {{ ref('int_study_metastases') }}
    where is_of_disease
    group by study_id, patient_key, diagnosis_id
),

patients as (
    select
        study_id,
        patient_key,
        min(metastasis_date) as metastasis_date
    from first_metastases
    group by study_id, patient_key
),

final as (
    select primaries.*
    from {{ ref('int_study_primaries') }} as primaries
    left join first_metastases
        on
            primaries.study_id = first_metastases.study_id
            and primaries.patient_key = first_metastases.patient_key
            and primaries.diagnosis_id = first_metastases.diagnosis_id
    left join patients
        on
            primaries.study_id = patients.study_id
            and primaries.patient_key = patients.patient_key
    qualify row_number() over (
        partition by primaries.study_id, primaries.patient_key
        order by
            case
                when primaries.in_disease_list then 1
                when primaries.in_disease_list is null then 2
                else 3
            end,
            case
                when
                    least(primaries.diagnosis_date_earliest, first_metastases.metastasis_date)
                    > patients.metastasis_date
                    then 2
                else 1
            end,
            first_metastases.metastasis_date nulls last,
            primaries.diagnosis_date_earliest,
            case primaries.stage when 'IV' then 1 when 'III' then 3 when 'II' then 4 when 'I' then 5 else 2 end,
            primaries.diagnosis_id,
            primaries.src_rid
    ) = 1
)

select * from final
