-- Day 0 of a patient is the first proof of distant metastasis of the study's disease.
-- Nothing after the study's data cut-off is known to the study: later deaths are not yet deaths.
-- Who was last seen near the cut-off (seed studies) was followed up to it.

with metastatic as (
    select
        study_id,
        patient_key,
        min(metastasis_date) as index_date,
        {{ src_rids('src_rid') }} as src_rids
    from {{ ref('int_study_metastases') }}
    where is_of_disease
    group by study_id, patient_key
),

final as (
    select
        metastatic.study_id,
        metastatic.patient_key,
        metastatic.index_date,
        studies.data_cutoff,
        case
            when vital_status.last_contact_date > studies.data_cutoff then studies.data_cutoff
            else vital_status.last_contact_date
        end as last_contact_date,
        vital_status.last_contact_date
        >= studies.data_cutoff - studies.follow_up_complete_within_days as is_followed_to_cutoff,
        case
            when vital_status.death_date <= studies.data_cutoff then vital_status.death_date
        end as death_date,
        vital_status.status = 'dead' and vital_status.death_date is null as death_undated,
        vital_status.last_contact_src_rid,
        vital_status.death_src_rid,
        metastatic.src_rids
    from metastatic
    inner join {{ ref('studies') }} as studies
        on metastatic.study_id = studies.study_id
    left join {{ ref('int_vital_status') }} as vital_status
        on metastatic.patient_key = vital_status.patient_key
)

select * from final
