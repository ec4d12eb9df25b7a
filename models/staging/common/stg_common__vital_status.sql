with typed as (
    {{ typed_source('vital_status') }}
)

select
    src_rid,
    patient_key,
    record_id,
    status,
    last_contact_date,
    death_date_earliest,
    death_date_latest,
    death_date_precision,
    cause_of_death,
    source,
    recorded_date
from typed
where reject_reason is null
