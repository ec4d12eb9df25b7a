with final as (
    select
        evaluations.study_id,
        evaluations.patient_key,
        evaluations.step,
        evaluations.criterion_id,
        criteria.label as criterion,
        evaluations.met,
        evaluations.finding,
        evaluations.known_date,
        {{ days_between('study_index.index_date', 'evaluations.known_date') }} as known_day,
        evaluations.src_rids
    from {{ ref('int_study_criteria') }} as evaluations
    inner join {{ ref('study_criteria') }} as criteria
        on
            evaluations.study_id = criteria.study_id
            and evaluations.criterion_id = criteria.criterion_id
    left join {{ ref('int_study_index') }} as study_index
        on
            evaluations.study_id = study_index.study_id
            and evaluations.patient_key = study_index.patient_key
)

select * from final
