-- A death date known to the month is taken as its 15th, one known to the year as 1 July, but not
-- before the last contact, as far as that lies in the month or year: the usual imputation of registries
-- (EUROCARE-5, De Angelis 2014). Of several statements the most precise counts, of these the earliest.
-- A patient was last known alive at the last dated activity of any kind, not only at a call: what was
-- done to the patient, or began in the patient, and the last day of a stay or of an infusion. What is
-- only planned, ordered or supplied in advance proves nothing; nor does the end of an adverse event,
-- which may be the death, or a day of entry into the record. A death proves the life before it, so
-- that who died after a study's cut-off was alive at it.

with statements as (
    select * from {{ ref('stg_common__vital_status') }}
),

deaths as (
    select
        patient_key,
        death_date_earliest,
        death_date_latest,
        death_date_precision,
        src_rid
    from statements
    where status = 'dead'
    qualify row_number() over (
        partition by patient_key
        order by
            case death_date_precision when 'day' then 1 when 'month' then 2 when 'year' then 3 else 4 end,
            death_date_earliest nulls last,
            src_rid
    ) = 1
),

activities as (
    select patient_key, last_contact_date as activity_date, src_rid from statements
    union all
    select patient_key, death_date_earliest, src_rid from deaths
    union all
    select patient_key, start_date, src_rid from {{ ref('stg_common__encounters') }}
    union all
    select patient_key, end_date, src_rid from {{ ref('stg_common__encounters') }}
    union all
    select patient_key, start_date, src_rid from {{ ref('stg_common__drug_administrations') }}
    where record_status = 'completed'
    union all
    select patient_key, end_date, src_rid from {{ ref('stg_common__drug_administrations') }}
    where record_status = 'completed' and record_type = 'administration'
    union all
    select patient_key, procedure_date, src_rid from {{ ref('stg_common__procedures') }}
    union all
    select patient_key, assessment_date, src_rid from {{ ref('stg_common__tumour_assessments') }}
    union all
    select patient_key, metastasis_date, src_rid from {{ ref('stg_common__metastases') }}
    union all
    select patient_key, collected_date, src_rid from {{ ref('stg_common__pathology') }}
    union all
    select patient_key, collected_date, src_rid from {{ ref('stg_common__molecular_tests') }}
    union all
    select patient_key, assessed_date, src_rid from {{ ref('stg_common__performance_status') }}
    union all
    select patient_key, onset_date, src_rid from {{ ref('stg_common__adverse_events') }}
),

-- One row a day, so that the row that stands for the last day does not depend on the order of rows.
active_days as (
    select
        patient_key,
        activity_date,
        min(src_rid) as src_rid
    from activities
    where activity_date is not null
    group by patient_key, activity_date
),

contacts as (
    select
        patient_key,
        max(activity_date) as last_activity_date,
        max_by(src_rid, activity_date) as last_activity_src_rid
    from active_days
    group by patient_key
),

final as (
    select
        contacts.patient_key,
        case when deaths.patient_key is not null then 'dead' else 'alive' end as status,
        deaths.death_date_precision,
        case
            when deaths.death_date_precision = 'day' then deaths.death_date_earliest
            when deaths.death_date_precision is not null
                then least(
                    deaths.death_date_latest,
                    greatest(
                        case deaths.death_date_precision
                            when 'month' then deaths.death_date_earliest + 14
                            else make_date(year(deaths.death_date_earliest), 7, 1)
                        end,
                        contacts.last_activity_date
                    )
                )
        end as death_date,
        contacts.last_activity_date as last_contact_date,
        contacts.last_activity_src_rid as last_contact_src_rid,
        deaths.src_rid as death_src_rid
    from contacts
    left join deaths
        on contacts.patient_key = deaths.patient_key
)

select * from final
