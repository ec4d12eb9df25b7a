with typed as (
    {{ typed_source('encounters') }}
)

select
    src_rid,
    patient_key,
    encounter_id,
    encounter_type,
    start_date,
    end_date,
    department,
    problem_list_reviewed
from typed
where reject_reason is null
