select
    src_rid,
    patient_key,
    test_id,
    accession_no,
    gene,
    region,
    variant,
    result,
    method,
    collected_date,
    reported_date
from {{ ref('stg_extract__molecular_tests') }}
where reject_reason is null
