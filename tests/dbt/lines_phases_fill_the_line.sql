-- The phases of a line follow one another from its first day to its last.
with phase_spans as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        min(start_date) as start_date,
        max(end_date) as end_date,
        sum({{ days_between('start_date', 'end_date') }} + 1) as n_days
    from {{ ref('line_phases') }}
    group by study_id, rule_set_id, patient_key, line_number
)

select
    lines_of_therapy.study_id,
    lines_of_therapy.rule_set_id,
    lines_of_therapy.patient_key,
    lines_of_therapy.line_number
from {{ ref('lines_of_therapy') }} as lines_of_therapy
left join phase_spans
    on
        lines_of_therapy.study_id = phase_spans.study_id
        and lines_of_therapy.rule_set_id = phase_spans.rule_set_id
        and lines_of_therapy.patient_key = phase_spans.patient_key
        and lines_of_therapy.line_number = phase_spans.line_number
where
    lines_of_therapy.start_date is distinct from phase_spans.start_date
    or lines_of_therapy.end_date is distinct from phase_spans.end_date
    or {{ days_between('lines_of_therapy.start_date', 'lines_of_therapy.end_date') }} + 1
    is distinct from phase_spans.n_days
