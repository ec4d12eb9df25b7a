with typed as (
    {{ typed_source('patients') }}
)

select
    src_rid,
    patient_key,
    sex,
    birth_date_earliest,
    birth_date_latest,
    birth_date_precision,
    recorded_date
from typed
where reject_reason is null
