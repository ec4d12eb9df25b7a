select
    src_rid,
    delivery_id,
    site_code,
    extract_date,
    synthetic
from {{ ref('stg_extract__delivery') }}
where reject_reason is null
