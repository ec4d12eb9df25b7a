-- Under the study's own rule set: where each anticancer exposure went and why. Exposures under the
-- other rule sets are not published; their lines are.

select
    exposures.study_id,
    exposures.rule_set_id,
    exposures.patient_key,
    case when exposures.is_counted then exposures.line_number end as line_number,
    exposures.ingredient,
    exposures.drug_class,
    exposures.is_systemic,
    exposures.placement,
    exposures.start_date,
    exposures.coverage_end_date,
    case when exposures.is_counted then exposures.days_from_line_start end as days_from_line_start,
    exposures.src_rids
from {{ ref('int_exposure_lines') }} as exposures
inner join {{ ref('studies') }} as studies
    on
        exposures.study_id = studies.study_id
        and exposures.rule_set_id = studies.line_rule_set_id
