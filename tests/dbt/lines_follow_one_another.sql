-- The lines of a patient are numbered without a hole, and each begins where the one before says.
with neighbours as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        start_date,
        lag(line_number, 1, 0) over (
            partition by study_id, rule_set_id, patient_key
            order by start_date
        ) as earlier_line_number,
        lag(next_line_start_date) over (
            partition by study_id, rule_set_id, patient_key
            order by start_date
        ) as announced_start_date
    from {{ ref('lines_of_therapy') }}
)

select *
from neighbours
where
    line_number <> earlier_line_number + 1
    or (line_number > 1 and start_date is distinct from announced_start_date)
