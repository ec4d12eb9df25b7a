with typed as (
    {{ typed_source('pathology') }}
)

select
    src_rid,
    patient_key,
    report_id,
    accession_no,
    specimen_site,
    specimen_type,
    her2_ihc_score,
    her2_ihc_pct,
    ihc_method,
    her2_ish_ratio,
    her2_copy_number,
    cep17_copy_number,
    her2_ish_pct,
    ish_method,
    collected_date,
    reported_date
from typed
where reject_reason is null
