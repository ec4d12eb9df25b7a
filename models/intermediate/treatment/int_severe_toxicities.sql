-- A severe adverse event attributed to treatment: of grade 3 or 4 (CTCAE), to which treatment may have
-- contributed at least possibly. One that nobody attributed does not explain why a drug was left out.

select
    patient_key,
    onset_date
from {{ ref('stg_common__adverse_events') }}
where
    grade in ('3', '4')
    and attribution in ('possible', 'probable', 'definite')
