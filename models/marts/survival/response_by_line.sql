-- Best overall response under the study's own endpoint rule set, which says whether the investigator's
-- or the derived responses count; every other rule set is in best_overall_responses.

select
    best_overall_responses.study_id,
    best_overall_responses.line_rule_set_id,
    best_overall_responses.patient_key,
    best_overall_responses.line_number,
    best_overall_responses.best_overall_response,
    best_overall_responses.confirmed_best_overall_response,
    best_overall_responses.response_date,
    best_overall_responses.days_to_response,
    best_overall_responses.days_to_confirmed_response,
    best_overall_responses.n_assessments,
    best_overall_responses.best_change_pct,
    best_overall_responses.src_rids
from {{ ref('best_overall_responses') }} as best_overall_responses
inner join {{ ref('studies') }} as studies
    on
        best_overall_responses.study_id = studies.study_id
        and best_overall_responses.endpoint_rule_set_id = studies.endpoint_rule_set_id
