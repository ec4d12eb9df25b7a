-- HER2 status by each study's definition (seed her2_definitions). Immunohistochemistry and in-situ
-- hybridisation belong together when done on one specimen (one accession number), in whichever
-- report. A patient with one positive specimen is positive; one whose specimens were all judged and
-- none was positive is negative; an equivocal score without hybridisation is unknown, and so is a
-- patient who was never tested.

with specimens as (
    select
        patient_key,
        accession_no,
        max_by(her2_ihc_score, collected_and_reported) filter (where her2_ihc_score is not null)
            as ihc_score,
        {{ value_at_max('her2_ihc_pct', 'collected_and_reported') }}
        filter (where her2_ihc_score is not null) as ihc_pct,
        max_by(her2_ish_ratio, collected_and_reported) filter (where her2_ish_ratio is not null)
            as ish_ratio,
        {{ value_at_max('her2_ish_pct', 'collected_and_reported') }}
        filter (where her2_ish_ratio is not null) as ish_pct,
        max(coalesce(reported_date, collected_date)) as known_date,
        {{ src_rids('src_rid') }} as src_rids
    from (
        select
            *,
            concat_ws(' ', cast(coalesce(reported_date, collected_date) as string), report_id)
                as collected_and_reported
        from {{ ref('stg_common__pathology') }}
        where her2_ihc_score is not null or her2_ish_ratio is not null
    ) as her2_reports
    group by patient_key, accession_no
),

judged as (
    select
        studies.study_id,
        specimens.*,
        case
            when specimens.known_date > studies.data_cutoff then 'unknown'
            when specimens.ihc_score = definitions.ihc_positive_score
                then case
                    when specimens.ihc_pct >= definitions.ihc_min_pct then 'positive'
                    when specimens.ihc_pct < definitions.ihc_min_pct then 'negative'
                    else 'unknown'
                end
            when specimens.ihc_score = definitions.ihc_equivocal_score
                then case
                    when specimens.ish_ratio < definitions.ish_min_ratio then 'negative'
                    when specimens.ish_pct < definitions.ish_min_pct then 'negative'
                    when
                        specimens.ish_ratio >= definitions.ish_min_ratio
                        and specimens.ish_pct >= definitions.ish_min_pct
                        then 'positive'
                    else 'unknown'
                end
            when specimens.ihc_score is not null then 'negative'
            else 'unknown'
        end as specimen_status,
        -- A share is rounded down: 49.9% must not read as the limit that it missed.
        concat_ws(
            ', ',
            'IHC ' || specimens.ihc_score,
            'in ' || cast(cast(floor(specimens.ihc_pct) as int) as string) || '% of cells',
            'ISH ratio ' || cast(specimens.ish_ratio as string),
            'in ' || cast(cast(floor(specimens.ish_pct) as int) as string) || '% of cells'
        ) as evidence
    from specimens
    cross join {{ ref('studies') }} as studies
    inner join {{ ref('her2_definitions') }} as definitions
        on studies.her2_definition_id = definitions.her2_definition_id
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
        coalesce(
            min(known_date) filter (where specimen_status = 'positive'),
            max(known_date)
        ) as known_date,
        {{ merged_src_rids('src_rids') }} as src_rids
    from judged
    group by study_id, patient_key
)

select * from final
