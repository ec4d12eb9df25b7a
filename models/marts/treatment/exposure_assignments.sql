-- Under the study's own rule set: where each anticancer exposure went and why.

with final as (
    select
        histories.study_id,
        histories.patient_key,
        case when exposures.is_counted then exposures.line_number end as line_number,
        exposures.ingredient,
        exposures.is_systemic,
        exposures.placement,
        exposures.start_date,
        exposures.coverage_end_date,
        {{ days_between('histories.index_date', 'exposures.start_date') }} as start_day,
        case when exposures.is_counted then exposures.days_from_line_start end
            as days_from_line_start,
        exposures.src_rids
    from {{ ref('int_exposure_lines') }} as exposures
    inner join {{ ref('int_line_layouts') }} as layouts
        on exposures.layout_id = layouts.layout_id
    inner join {{ ref('int_line_histories') }} as histories
        on layouts.history_id = histories.history_id
    inner join {{ ref('studies') }} as studies
        on
            histories.study_id = studies.study_id
            and histories.rule_set_id = studies.line_rule_set_id
)

select * from final
