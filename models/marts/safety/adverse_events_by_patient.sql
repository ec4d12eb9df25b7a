with final as (
    select
        study_id,
        patient_key,
        line_number,
        category,
        cast(count(*) as int) as n_events,
        max(grade) as worst_grade,
        min(days_from_line_start) as days_to_first,
        {{ merged_src_rids('src_rids') }} as src_rids
    from {{ ref('adverse_events') }}
    where
        category is not null
        and line_number is not null
        and may_be_related
    group by study_id, patient_key, line_number, category
)

select * from final
