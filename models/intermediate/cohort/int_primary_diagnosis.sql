-- A patient may have several primaries. The one a study is about is the earliest that lies in the
-- study's list of diseases; where none does, the earliest of all stands for why the patient is out.
-- A diagnosis without morphology may or may not be in the list: unknown, not no.

with topographies as (
    select
        icdo3_topographies.icdo3_topography,
        code_lists.code_list,
        max(code_lists.value) as value
    from (select distinct icdo3_topography from {{ ref('stg_common__diagnoses') }}) as icdo3_topographies
    inner join {{ ref('code_lists') }} as code_lists
        on
            code_lists.code_system = 'icdo3_topography'
            and icdo3_topographies.icdo3_topography like code_lists.code || '%'
    group by icdo3_topographies.icdo3_topography, code_lists.code_list
),

morphologies as (
    select
        icdo3_morphologies.icdo3_morphology,
        code_lists.code_list
    from (select distinct icdo3_morphology from {{ ref('stg_common__diagnoses') }}) as icdo3_morphologies
    inner join {{ ref('code_lists') }} as code_lists
        on
            code_lists.code_system = 'icdo3_morphology'
            and icdo3_morphologies.icdo3_morphology like code_lists.code || '%'
    group by icdo3_morphologies.icdo3_morphology, code_lists.code_list
),

judged as (
    select
        studies.study_id,
        diagnoses.*,
        case
            when topographies.icdo3_topography is null then false
            when diagnoses.icdo3_morphology is not null then morphologies.icdo3_morphology is not null
        end as in_disease_list
    from {{ ref('stg_common__diagnoses') }} as diagnoses
    cross join {{ ref('studies') }} as studies
    left join topographies
        on
            diagnoses.icdo3_topography = topographies.icdo3_topography
            and studies.disease_code_list = topographies.code_list
    left join morphologies
        on
            diagnoses.icdo3_morphology = morphologies.icdo3_morphology
            and studies.disease_code_list = morphologies.code_list
    where diagnoses.diagnosis_date_earliest <= studies.data_cutoff
),

chosen as (
    select *
    from judged
    qualify row_number() over (
        partition by study_id, patient_key
        order by
            case when in_disease_list then 1 when in_disease_list is null then 2 else 3 end,
            diagnosis_date_earliest,
            src_rid
    ) = 1
),

final as (
    select
        chosen.study_id,
        chosen.patient_key,
        chosen.diagnosis_id,
        chosen.in_disease_list,
        chosen.icdo3_topography,
        sides.value as primary_side,
        chosen.icdo3_morphology,
        nullif(chosen.differentiation, 'unknown') as differentiation,
        nullif(chosen.stage, 'unknown') as stage,
        chosen.diagnosis_date_earliest,
        chosen.diagnosis_date_latest,
        chosen.src_rid
    from chosen
    left join topographies as sides
        on
            chosen.icdo3_topography = sides.icdo3_topography
            and sides.code_list = 'primary_side'
)

select * from final
