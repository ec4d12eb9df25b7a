with evaluations as (
    select
        study_id,
        patient_key,
        min(step) filter (where met is not true) as first_failed_step,
        case when count_if(met) = count(*) then max(known_date) end as eligibility_known_date
    from {{ ref('cohort_criteria') }}
    group by study_id, patient_key
),

final as (
    select
        evaluations.study_id,
        evaluations.patient_key,
        evaluations.first_failed_step is null as included,
        evaluations.first_failed_step,
        failed.criterion_id as first_failed_criterion,
        case
            when failed.met is false then 'not met'
            when failed.criterion_id is not null then 'unknown'
        end as first_failed_because,
        failed.finding as first_failed_finding,
        study_index.index_date,
        cast(year(study_index.index_date) as int) as index_year,
        evaluations.eligibility_known_date,
        {{ days_between('study_index.index_date', 'evaluations.eligibility_known_date') }}
            as eligibility_known_day,
        coalesce(study_index.src_rids, {{ src_rid_list('primary_diagnosis.src_rid') }}) as src_rids
    from evaluations
    inner join {{ ref('int_primary_diagnosis') }} as primary_diagnosis
        on
            evaluations.study_id = primary_diagnosis.study_id
            and evaluations.patient_key = primary_diagnosis.patient_key
    left join {{ ref('cohort_criteria') }} as failed
        on
            evaluations.study_id = failed.study_id
            and evaluations.patient_key = failed.patient_key
            and evaluations.first_failed_step = failed.step
    left join {{ ref('int_study_index') }} as study_index
        on
            evaluations.study_id = study_index.study_id
            and evaluations.patient_key = study_index.patient_key
)

select * from final
