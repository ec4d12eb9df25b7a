-- Objective response rate and disease control rate of the study's included patients, every treated
-- line in the denominator: a line never assessed is no response (RECIST 1.1, Eisenhauer 2009,
-- section 4.8). Where none was assessed nothing is known of responses, and there is no rate.

select
    responses.study_id,
    responses.line_rule_set_id,
    responses.endpoint_rule_set_id,
    responses.response_source,
    responses.line_number,
    cast(count(*) as int) as n_lines,
    cast(count_if(responses.n_assessments > 0) as int) as n_assessed,
    cast(count_if(responses.objective_response) as int) as n_responses,
    cast(count_if(responses.confirmed_objective_response) as int) as n_confirmed_responses,
    cast(count_if(responses.disease_control) as int) as n_disease_control,
    case
        when count_if(responses.n_assessments > 0) > 0
            then cast(count_if(responses.objective_response) as double) / count(*)
    end as objective_response_rate,
    case
        when count_if(responses.n_assessments > 0) > 0
            then cast(count_if(responses.confirmed_objective_response) as double) / count(*)
    end as confirmed_response_rate,
    case
        when count_if(responses.n_assessments > 0) > 0
            then cast(count_if(responses.disease_control) as double) / count(*)
    end as disease_control_rate,
    median(responses.best_change_pct) as median_best_change_pct
from {{ ref('best_overall_responses') }} as responses
inner join {{ ref('cohort') }} as cohort
    on
        responses.study_id = cohort.study_id
        and responses.patient_key = cohort.patient_key
where cohort.included
group by
    responses.study_id,
    responses.line_rule_set_id,
    responses.endpoint_rule_set_id,
    responses.response_source,
    responses.line_number
