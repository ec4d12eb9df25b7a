with typed as (
    {{ typed_source('molecular_tests') }}
)

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
from typed
where reject_reason is null
