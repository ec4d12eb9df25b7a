-- A gene panel (seed biomarker_panels) is mutated when any of its regions is, and wild type only
-- when every region was read and none is mutated. A failed or missing region leaves it unknown.
-- A mutation once found stands, whatever another specimen or an earlier or later test says.

with tests as (
    select
        *,
        coalesce(reported_date, collected_date) as known_date
    from {{ ref('stg_common__molecular_tests') }}
),

region_results as (
    select
        studies.study_id,
        tests.patient_key,
        tests.gene,
        tests.region,
        case
            when count_if(tests.result = 'mutated') > 0 then 'mutated'
            when count_if(tests.result = 'wild_type') > 0 then 'wild_type'
        end as region_status,
        coalesce(
            min(tests.known_date) filter (where tests.result = 'mutated'),
            min(tests.known_date) filter (where tests.result = 'wild_type')
        ) as known_date,
        -- The evidence is published: of the laboratory's text only what is a protein change.
        nullif(
            regexp_extract(
                max(tests.variant) filter (where tests.result = 'mutated'),
                '^p[.][A-Z][a-z]{0,2}[0-9]{1,4}[A-Za-z*]{0,6}$',
                0
            ),
            ''
        ) as variant,
        {{ src_rids('tests.src_rid') }} as src_rids
    from tests
    inner join {{ ref('studies') }} as studies
        on tests.known_date <= studies.data_cutoff
    group by studies.study_id, tests.patient_key, tests.gene, tests.region
),

panel_sizes as (
    select
        biomarker,
        count(*) as regions_needed
    from {{ ref('biomarker_panels') }}
    group by biomarker
),

final as (
    select
        region_results.study_id,
        region_results.patient_key,
        panels.biomarker,
        case
            when count_if(region_results.region_status = 'mutated') > 0 then 'mutated'
            when count_if(region_results.region_status = 'wild_type') = max(panel_sizes.regions_needed)
                then 'wild_type'
            else 'unknown'
        end as status,
        coalesce(
            min(concat_ws(' ', region_results.gene, region_results.region, region_results.variant))
            filter (where region_results.region_status = 'mutated'),
            cast(count_if(region_results.region_status = 'wild_type') as string) || ' of '
            || cast(max(panel_sizes.regions_needed) as string) || ' regions read'
        ) as evidence,
        coalesce(
            min(region_results.known_date) filter (where region_results.region_status = 'mutated'),
            max(region_results.known_date)
        ) as known_date,
        {{ merged_src_rids('region_results.src_rids') }} as src_rids
    from region_results
    inner join {{ ref('biomarker_panels') }} as panels
        on
            region_results.gene = panels.gene
            and region_results.region = panels.region
    inner join panel_sizes
        on panels.biomarker = panel_sizes.biomarker
    group by region_results.study_id, region_results.patient_key, panels.biomarker
)

select * from final
