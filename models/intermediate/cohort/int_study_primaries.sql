-- Every primary of a patient that is known at a study's data cut-off, and whether it lies in the
-- study's list of diseases. A diagnosis without morphology may or may not: unknown, not no; and so may
-- one whose topography is no code of ICD-O-3, or whose morphology names no histology (8000 neoplasm,
-- 8001 tumour cells, 8010 carcinoma).
-- Adenomas and carcinomas in situ have the four digits of their carcinomas: by its behaviour (ICD-O-3:
-- /0 benign, /1 uncertain whether malignant, /2 in situ) a tumour is not of a list of cancers; of /6
-- (metastatic) and /9 (primary or metastatic) it is not known whether it is a primary of this site.

with topographies as (
    select
        icdo3_topographies.icdo3_topography,
        code_lists.code_list,
        max(code_lists.value) as value
    from (select distinct icdo3_topography from {{ ref('stg_common__diagnoses') }}) as icdo3_topographies
    inner join {{ ref('code_lists') }} as code_lists
        on
            code_lists.code_system = 'icdo3_topography'
            and upper(icdo3_topographies.icdo3_topography) like code_lists.code || '%'
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

final as (
    select
        studies.study_id,
        diagnoses.patient_key,
        diagnoses.diagnosis_id,
        case
            when upper(diagnoses.icdo3_topography) not like 'C__%' then null
            when topographies.icdo3_topography is null then false
            when substr(diagnoses.icdo3_morphology, 5, 2) in ('/0', '/1', '/2') then false
            when substr(diagnoses.icdo3_morphology, 5, 2) in ('/6', '/9') then null
            when substr(diagnoses.icdo3_morphology, 1, 4) in ('8000', '8001', '8010') then null
            when diagnoses.icdo3_morphology is not null then morphologies.icdo3_morphology is not null
        end as in_disease_list,
        coalesce(substr(diagnoses.icdo3_morphology, 5, 2) not in ('/0', '/2'), true)
            as may_metastasise,
        diagnoses.icdo3_topography,
        sides.value as primary_side,
        diagnoses.icdo3_morphology,
        nullif(diagnoses.differentiation, 'unknown') as differentiation,
        nullif(diagnoses.stage, 'unknown') as stage,
        diagnoses.diagnosis_date_earliest,
        diagnoses.diagnosis_date_latest,
        diagnoses.src_rid
    from {{ ref('stg_common__diagnoses') }} as diagnoses
    inner join {{ ref('studies') }} as studies
        on diagnoses.diagnosis_date_earliest <= studies.data_cutoff
    left join topographies
        on
            diagnoses.icdo3_topography = topographies.icdo3_topography
            and studies.disease_code_list = topographies.code_list
    left join morphologies
        on
            diagnoses.icdo3_morphology = morphologies.icdo3_morphology
            and studies.disease_code_list = morphologies.code_list
    left join topographies as sides
        on
            diagnoses.icdo3_topography = sides.icdo3_topography
            and sides.code_list = 'primary_side'
)

select * from final
