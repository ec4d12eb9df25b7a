with final as (
    select
        histories.study_id,
        histories.rule_set_id,
        histories.patient_key,
        components.line_number,
        components.ingredient,
        components.drug_class,
        components.modality,
        components.is_targeted,
        components.joined_by,
        components.first_date,
        components.last_date,
        components.n_exposures,
        components.days_from_line_start,
        components.src_rids
    from {{ ref('int_line_components') }} as components
    inner join {{ ref('int_line_layouts') }} as layouts
        on components.layout_id = layouts.layout_id
    inner join {{ ref('int_line_histories') }} as histories
        on layouts.history_id = histories.history_id
    where components.is_component
)

select * from final
