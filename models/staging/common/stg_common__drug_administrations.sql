with typed as (
    {{ typed_source('drug_administrations') }}
)

select
    src_rid,
    patient_key,
    record_id,
    record_type,
    record_status,
    order_id,
    drug_text,
    drug_code,
    route,
    dose,
    dose_unit,
    start_date,
    end_date,
    days_supply,
    intent,
    recorded_date
from typed
where reject_reason is null
