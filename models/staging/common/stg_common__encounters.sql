select
    src_rid,
    patient_key,
    encounter_id,
    encounter_type,
    start_date,
    end_date,
    department,
    problem_list_reviewed
from {{ ref('stg_extract__encounters') }}
where reject_reason is null
