-- Every line of the study's own rule set has an interval, or a reason for none, under every
-- endpoint rule set and endpoint that starts with the line.

select
    study_lines.study_id,
    study_lines.patient_key,
    study_lines.line_number,
    rule_sets.endpoint_rule_set_id,
    rule_sets.endpoint
from {{ ref('int_study_lines') }} as study_lines
inner join {{ ref('endpoint_rule_sets') }} as rule_sets
    on rule_sets.endpoint <> 'BOR' and rule_sets.start_anchor = 'line_start'
left join {{ ref('survival_intervals') }} as intervals
    on
        study_lines.study_id = intervals.study_id
        and study_lines.rule_set_id = intervals.line_rule_set_id
        and study_lines.patient_key = intervals.patient_key
        and study_lines.line_number = intervals.line_number
        and rule_sets.endpoint_rule_set_id = intervals.endpoint_rule_set_id
        and rule_sets.endpoint = intervals.endpoint
left join {{ ref('refused_intervals') }} as refused
    on
        study_lines.study_id = refused.study_id
        and study_lines.rule_set_id = refused.line_rule_set_id
        and study_lines.patient_key = refused.patient_key
        and study_lines.line_number = refused.line_number
        and rule_sets.endpoint_rule_set_id = refused.endpoint_rule_set_id
        and rule_sets.endpoint = refused.endpoint
where (intervals.endpoint is null) = (refused.endpoint is null)
