-- Nothing is published from marts that break a blocking check. What is named here is what the checks
-- of the marts read; tests/expectations holds the list complete.

{% for model in [
    'extract_gate', 'int_drug_exposures', 'int_lesions', 'int_primary_diagnosis',
    'int_vital_status',
    'cohort', 'cohort_attrition', 'biomarkers', 'patient_characteristics', 'patient_variables',
    'lines_of_therapy', 'exposure_assignments', 'survival_intervals', 'response_by_line',
    'recist_assessments', 'adverse_events', 'adverse_events_by_patient',
    'studies', 'study_analyses', 'endpoint_sources', 'biomarker_panels', 'her2_definitions',
    'ingredients',
] -%}
{%- do ref(model) -%}
{%- endfor -%}
select * from {{ gate('marts') }}
