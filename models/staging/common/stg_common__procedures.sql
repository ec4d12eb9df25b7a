with typed as (
    {{ typed_source('procedures') }}
)

select
    src_rid,
    patient_key,
    procedure_id,
    procedure_type,
    organ,
    procedure_text,
    procedure_code,
    procedure_date,
    recorded_date
from typed
where reject_reason is null
