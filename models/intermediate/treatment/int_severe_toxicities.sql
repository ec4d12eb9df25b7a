-- Toxicity for which a drug is commonly stopped: an adverse event of CTCAE grade 3 or 4 that is
-- possibly, probably or definitely due to treatment. The limits are ours; one whose relation to
-- treatment nobody judged does not count.

select
    patient_key,
    onset_date
from {{ ref('stg_common__adverse_events') }}
where
    grade in ('3', '4')
    and attribution in ('possible', 'probable', 'definite')
