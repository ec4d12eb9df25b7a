-- Every line of the study's own rule set has an interval, or a reason for none, under every
-- endpoint rule set and endpoint that starts with the line and is wanted for the patient.

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
left join {{ ref('cohort') }} as cohort
    on
        study_lines.study_id = cohort.study_id
        and study_lines.patient_key = cohort.patient_key
inner join {{ ref('studies') }} as studies
    on study_lines.study_id = studies.study_id
where
    case
        when
            rule_sets.endpoint_rule_set_id = studies.endpoint_rule_set_id
            or studies.sensitivity_patients = 'all'
            or cohort.included
            then (intervals.endpoint is null) = (refused.endpoint is null)
        else coalesce(intervals.endpoint, refused.endpoint) is not null
    end
