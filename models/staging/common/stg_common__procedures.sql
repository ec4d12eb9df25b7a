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
from {{ ref('stg_extract__procedures') }}
where reject_reason is null
