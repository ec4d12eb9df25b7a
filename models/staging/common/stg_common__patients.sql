select
    src_rid,
    patient_key,
    sex,
    birth_date_earliest,
    birth_date_latest,
    birth_date_precision,
    recorded_date
from {{ ref('stg_extract__patients') }}
where reject_reason is null
