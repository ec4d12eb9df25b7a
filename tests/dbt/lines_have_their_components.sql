-- A line's set of components is that of its rows in line_components.
with component_sets as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        {{ string_agg_sorted('ingredient', '+') }} as components
    from {{ ref('line_components') }}
    group by study_id, rule_set_id, patient_key, line_number
)

select
    lines_of_therapy.study_id,
    lines_of_therapy.rule_set_id,
    lines_of_therapy.patient_key,
    lines_of_therapy.line_number
from {{ ref('lines_of_therapy') }} as lines_of_therapy
left join component_sets
    on
        lines_of_therapy.study_id = component_sets.study_id
        and lines_of_therapy.rule_set_id = component_sets.rule_set_id
        and lines_of_therapy.patient_key = component_sets.patient_key
        and lines_of_therapy.line_number = component_sets.line_number
where lines_of_therapy.regimen_components is distinct from component_sets.components
