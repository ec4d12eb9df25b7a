with statuses as (
    select study_id, patient_key, biomarker, status, evidence, known_date, src_rids
    from {{ ref('int_her2_status') }}
    union all
    select study_id, patient_key, biomarker, status, evidence, known_date, src_rids
    from {{ ref('int_molecular_status') }}
),

final as (
    select
        statuses.study_id,
        statuses.patient_key,
        statuses.biomarker,
        statuses.status,
        statuses.evidence,
        statuses.known_date,
        {{ days_between('study_index.index_date', 'statuses.known_date') }} as known_day,
        statuses.src_rids
    from statuses
    left join {{ ref('int_study_index') }} as study_index
        on
            statuses.study_id = study_index.study_id
            and statuses.patient_key = study_index.patient_key
)

select * from final
