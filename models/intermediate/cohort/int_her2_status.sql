-- HER2 status by each study's definition (seed her2_definitions). Immunohistochemistry and in-situ
-- hybridisation belong together when done on one specimen (one accession number), in whichever
-- report. A patient with one positive specimen is positive; one whose specimens were all judged and
-- none was positive is negative; an equivocal score without hybridisation is unknown, and so is a
-- patient who was never tested.
-- A specimen is known from the report whose reading still stands: an addendum that repeats it, or a
-- hybridisation that the score did not need, adds nothing. Of reports of one day none is the later one:
-- where they contradict each other, the reading is unknown. A report after the data cut-off is not
-- known to the study, whatever else was reported of the specimen.
-- A patient is known to be positive from the first positive specimen; to be negative from the day on
-- which one was negative and none was in doubt any more.

with pathology as (
    select
        *,
        coalesce(reported_date, collected_date) as known_date
    from {{ ref('stg_common__pathology') }}
),

readings as (
    select
        studies.study_id,
        pathology.patient_key,
        pathology.accession_no,
        pathology.her2_ihc_score,
        pathology.her2_ihc_pct,
        pathology.her2_ish_ratio,
        pathology.her2_ish_pct,
        pathology.known_date,
        case
            when pathology.her2_ihc_score = definitions.ihc_positive_score
                then case
                    when definitions.ihc_min_pct is null then 'positive'
                    when pathology.her2_ihc_pct >= definitions.ihc_min_pct then 'positive'
                    when pathology.her2_ihc_pct < definitions.ihc_min_pct then 'negative'
                    else 'unknown'
                end
            when pathology.her2_ihc_score = definitions.ihc_equivocal_score then 'equivocal'
            when pathology.her2_ihc_score is not null then 'negative'
        end as ihc_reading,
        case
            when pathology.her2_ish_ratio < definitions.ish_min_ratio then 'negative'
            when pathology.her2_ish_ratio is null then null
            when definitions.ish_min_pct is null then 'positive'
            when pathology.her2_ish_pct < definitions.ish_min_pct then 'negative'
            when pathology.her2_ish_pct >= definitions.ish_min_pct then 'positive'
            else 'unknown'
        end as ish_reading,
        row_number() over (
            partition by studies.study_id, pathology.patient_key, pathology.accession_no
            order by
                pathology.known_date,
                pathology.her2_ihc_pct nulls first,
                pathology.her2_ish_pct nulls first,
                pathology.report_id,
                pathology.src_rid
        ) as report_no,
        pathology.src_rid
    from pathology
    inner join {{ ref('studies') }} as studies
        on pathology.known_date <= studies.data_cutoff
    inner join {{ ref('her2_definitions') }} as definitions
        on studies.her2_definition_id = definitions.her2_definition_id
    where pathology.her2_ihc_score is not null or pathology.her2_ish_ratio is not null
),

-- What the reports of one specimen and day say together.
reports as (
    select
        study_id,
        patient_key,
        accession_no,
        her2_ihc_score,
        her2_ihc_pct,
        her2_ish_ratio,
        her2_ish_pct,
        known_date,
        {%- for reading in ['ihc_reading', 'ish_reading'] %}
        case
            when {{ reading }} is null then null
            when
                min(nullif({{ reading }}, 'unknown')) over same_day
                <> max(nullif({{ reading }}, 'unknown')) over same_day
                then 'contradictory'
            else coalesce(max(nullif({{ reading }}, 'unknown')) over same_day, {{ reading }})
        end as {{ reading }},
        {%- endfor %}
        report_no,
        src_rid
    from readings
    window same_day as (partition by study_id, patient_key, accession_no, known_date)
),

compared as (
    select
        *,
        lag(ihc_reading) over (
            partition by study_id, patient_key, accession_no, ihc_reading is null
            order by report_no
        ) as previous_ihc_reading,
        lag(ish_reading) over (
            partition by study_id, patient_key, accession_no, ish_reading is null
            order by report_no
        ) as previous_ish_reading
    from reports
),

specimens as (
    select
        study_id,
        patient_key,
        accession_no,
        max_by(ihc_reading, report_no) filter (where ihc_reading is not null) as ihc_reading,
        max_by(ish_reading, report_no) filter (where ish_reading is not null) as ish_reading,
        max(known_date) filter (where ihc_reading is distinct from previous_ihc_reading)
            as ihc_known_date,
        max(known_date) filter (where ish_reading is distinct from previous_ish_reading)
            as ish_known_date,
        min(known_date) as first_known_date,
        max_by(her2_ihc_score, report_no) filter (where her2_ihc_score is not null) as ihc_score,
        {{ value_at_max('her2_ihc_pct', 'report_no') }}
        filter (where her2_ihc_score is not null) as ihc_pct,
        max_by(her2_ish_ratio, report_no) filter (where her2_ish_ratio is not null) as ish_ratio,
        {{ value_at_max('her2_ish_pct', 'report_no') }}
        filter (where her2_ish_ratio is not null) as ish_pct,
        {{ src_rids('src_rid') }} as src_rids
    from compared
    group by study_id, patient_key, accession_no
),

-- `greatest` skips NULL in both engines.
judged as (
    select
        study_id,
        patient_key,
        accession_no,
        case
            when ihc_reading in ('positive', 'negative') then ihc_reading
            when ihc_reading = 'equivocal' and ish_reading in ('positive', 'negative')
                then ish_reading
            else 'unknown'
        end as specimen_status,
        case
            when ihc_reading = 'equivocal' then greatest(ihc_known_date, ish_known_date)
            else coalesce(ihc_known_date, ish_known_date)
        end as known_date,
        first_known_date,
        -- A share is rounded down: 49.9% must not read as the limit that it missed.
        concat_ws(
            ', ',
            'IHC ' || ihc_score,
            'in ' || cast(cast(floor(ihc_pct) as int) as string) || '% of cells',
            'ISH ratio ' || cast(ish_ratio as string),
            'in ' || cast(cast(floor(ish_pct) as int) as string) || '% of cells',
            case
                when
                    ihc_reading = 'contradictory'
                    or (ihc_reading = 'equivocal' and ish_reading = 'contradictory')
                    then 'contradicted by a report of the same day'
            end
        ) as evidence,
        src_rids
    from specimens
),

final as (
    select
        study_id,
        patient_key,
        'HER2' as biomarker,
        case
            when count_if(specimen_status = 'positive') > 0 then 'positive'
            when count_if(specimen_status = 'unknown') > 0 then 'unknown'
            else 'negative'
        end as status,
        min_by(
            evidence,
            concat_ws(
                ' ',
                case specimen_status when 'positive' then '1' when 'unknown' then '2' else '3' end,
                cast(known_date as string),
                accession_no
            )
        ) as evidence,
        case
            when count_if(specimen_status = 'positive') > 0
                then min(known_date) filter (where specimen_status = 'positive')
            when count_if(specimen_status = 'unknown') > 0 then max(known_date)
            else greatest(
                min(known_date),
                max(known_date) filter (where known_date > first_known_date)
            )
        end as known_date,
        {{ merged_src_rids('src_rids') }} as src_rids
    from judged
    group by study_id, patient_key
)

select * from final
