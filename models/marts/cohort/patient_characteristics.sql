-- Synchronous: the first metastasis within six months of the primary (Mekenkamp 2010, Br J Cancer
-- 103:159; seed studies). A date known to the month or year decides only if every day it may mean
-- decides alike.
-- Metastatic organs are counted up to the start of line 1, what was known when treatment was chosen,
-- or up to the index date where line 1 began before it. `greatest` skips NULL in both engines. An organ
-- whose metastasis may be another cancer's leaves the count open.
-- A procedure or drug that a delivered file does not list was not given at this hospital; a file that
-- was not delivered, or holds a header alone, says nothing, and the answer stays unknown.

with subjects as (
    select
        study_index.study_id,
        study_index.patient_key,
        study_index.index_date,
        study_index.data_cutoff,
        study_index.src_rids,
        greatest(first_lines.start_date, study_index.index_date) as organs_counted_until
    from {{ ref('int_study_index') }} as study_index
    left join {{ ref('int_study_lines') }} as first_lines
        on
            study_index.study_id = first_lines.study_id
            and study_index.patient_key = first_lines.patient_key
            and first_lines.line_number = 1
),

metastatic_organs as (
    select
        subjects.study_id,
        subjects.patient_key,
        count(distinct metastases.organ) filter (where metastases.is_of_disease)
            as metastatic_organs,
        count(distinct metastases.organ) as possible_organs,
        count_if(metastases.organ = 'liver' and metastases.is_of_disease) > 0 as liver_metastasis,
        count_if(metastases.organ = 'liver') > 0 as possible_liver_metastasis
    from subjects
    inner join {{ ref('int_study_metastases') }} as metastases
        on
            subjects.study_id = metastases.study_id
            and subjects.patient_key = metastases.patient_key
            and metastases.is_of_disease is distinct from false
            and metastases.metastasis_date <= subjects.organs_counted_until
    group by subjects.study_id, subjects.patient_key
),

-- An infusion into the hepatic artery is delivered as a procedure, as the drug given, or both.
arterial_drugs as (
    select
        administrations.patient_key,
        administrations.start_date,
        administrations.src_rid
    from {{ ref('stg_common__drug_administrations') }} as administrations
    inner join {{ ref('int_drug_exposures') }} as exposures
        on
            administrations.patient_key = exposures.patient_key
            and administrations.start_date = exposures.start_date
            and array_contains(exposures.src_rids, administrations.src_rid)
    where
        administrations.route = 'intra_arterial'
        and exposures.is_anticancer
),

all_procedures as (
    select
        patient_key,
        procedure_type,
        procedure_date,
        src_rid
    from {{ ref('stg_common__procedures') }}
    union all
    select
        patient_key,
        'hepatic_artery_infusion' as procedure_type,
        start_date as procedure_date,
        src_rid
    from arterial_drugs
),

procedures as (
    select
        subjects.study_id,
        subjects.patient_key,
        count_if(procedures.procedure_type = 'primary_resection') > 0 as primary_resection,
        count_if(procedures.procedure_type = 'metastasectomy') > 0 as metastasectomy,
        count_if(
            procedures.procedure_type in ('ablation', 'radiotherapy', 'hepatic_artery_infusion')
            and procedures.procedure_date >= subjects.index_date
        ) > 0 as local_therapy,
        {{ src_rids('procedures.src_rid') }} as src_rids
    from subjects
    inner join all_procedures as procedures
        on
            subjects.patient_key = procedures.patient_key
            and procedures.procedure_date <= subjects.data_cutoff
    group by subjects.study_id, subjects.patient_key
),

delivered as (
    select count_if(n_records > 0) > 0 as has_procedures
    from {{ source('extract', 'files') }}
    where table_name = 'procedures'
),

adjuvant as (
    select
        subjects.study_id,
        subjects.patient_key,
        {{ merged_src_rids('exposures.src_rids') }} as src_rids
    from subjects
    inner join {{ ref('int_drug_exposures') }} as exposures
        on
            subjects.patient_key = exposures.patient_key
            and exposures.intent = 'adjuvant'
            and exposures.is_anticancer
            and exposures.start_date < subjects.index_date
    group by subjects.study_id, subjects.patient_key
),

-- What is adjuvant but no known drug may be one, and before line 1 may begin (int_line_histories) a drug
-- without a stated intent may have been adjuvant.
perhaps_adjuvant as (
    select distinct
        subjects.study_id,
        subjects.patient_key
    from subjects
    inner join {{ ref('studies') }} as studies
        on subjects.study_id = studies.study_id
    inner join {{ ref('line_rule_sets') }} as line_rule_sets
        on studies.line_rule_set_id = line_rule_sets.rule_set_id
    inner join {{ ref('int_drug_exposures') }} as exposures
        on
            subjects.patient_key = exposures.patient_key
            and case
                when exposures.is_anticancer is null
                    then exposures.intent = 'adjuvant' and exposures.start_date < subjects.index_date
                else
                    coalesce(exposures.intent, 'unknown') = 'unknown'
                    and exposures.is_anticancer
                    and exposures.start_date
                    < subjects.index_date + line_rule_sets.line1_min_offset_days
            end
),

line_counts as (
    select
        study_id,
        patient_key,
        max(line_number) as number_of_lines
    from {{ ref('int_study_lines') }}
    group by study_id, patient_key
),

dated as (
    select
        subjects.*,
        nullif(patients.sex, 'unknown') as sex,
        case
            when
                {{ completed_years('patients.birth_date_earliest', 'subjects.index_date') }}
                = {{ completed_years('patients.birth_date_latest', 'subjects.index_date') }}
                then {{ completed_years('patients.birth_date_earliest', 'subjects.index_date') }}
        end as age_at_index,
        primary_diagnosis.primary_side,
        primary_diagnosis.differentiation,
        case
            when
                {{ days_between('primary_diagnosis.diagnosis_date_earliest', 'subjects.index_date') }}
                <= studies.synchronous_within_days
                then 'synchronous'
            when
                {{ days_between('primary_diagnosis.diagnosis_date_latest', 'subjects.index_date') }}
                > studies.synchronous_within_days
                then 'metachronous'
        end as metastatic_pattern,
        patients.src_rid as patient_src_rid,
        primary_diagnosis.src_rid as diagnosis_src_rid
    from subjects
    inner join {{ ref('studies') }} as studies
        on subjects.study_id = studies.study_id
    inner join {{ ref('int_primary_diagnosis') }} as primary_diagnosis
        on
            subjects.study_id = primary_diagnosis.study_id
            and subjects.patient_key = primary_diagnosis.patient_key
    left join {{ ref('stg_common__patients') }} as patients
        on subjects.patient_key = patients.patient_key
),

final as (
    select
        dated.study_id,
        dated.patient_key,
        dated.age_at_index,
        dated.sex,
        dated.primary_side,
        dated.differentiation,
        dated.metastatic_pattern,
        case
            when metastatic_organs.metastatic_organs = metastatic_organs.possible_organs
                then cast(metastatic_organs.metastatic_organs as int)
        end as metastatic_organs,
        case
            when metastatic_organs.liver_metastasis then 'yes'
            when not metastatic_organs.possible_liver_metastasis then 'no'
        end as liver_metastasis,
        {%- for procedure in ['primary_resection', 'metastasectomy', 'local_therapy'] %}
        case
            when procedures.{{ procedure }} then 'yes'
            when delivered.has_procedures then 'no'
        end as {{ procedure }},
        {%- endfor %}
        case
            when adjuvant.patient_key is not null then 'yes'
            when perhaps_adjuvant.patient_key is null then 'no'
        end as adjuvant_chemotherapy,
        coalesce(her2.status, 'unknown') as her2_status,
        coalesce(ras_braf.status, 'unknown') as ras_braf_status,
        cast(coalesce(line_counts.number_of_lines, 0) as int) as number_of_lines,
        array_sort(
            array_distinct(
                flatten(
                    {{ src_rid_lists([
                        'dated.src_rids',
                        src_rid_list('dated.patient_src_rid'),
                        src_rid_list('dated.diagnosis_src_rid'),
                        'procedures.src_rids',
                        'adjuvant.src_rids',
                        'her2.src_rids',
                        'ras_braf.src_rids',
                    ]) }}
                )
            )
        ) as src_rids
    from dated
    cross join delivered
    left join metastatic_organs
        on
            dated.study_id = metastatic_organs.study_id
            and dated.patient_key = metastatic_organs.patient_key
    left join procedures
        on
            dated.study_id = procedures.study_id
            and dated.patient_key = procedures.patient_key
    left join adjuvant
        on
            dated.study_id = adjuvant.study_id
            and dated.patient_key = adjuvant.patient_key
    left join perhaps_adjuvant
        on
            dated.study_id = perhaps_adjuvant.study_id
            and dated.patient_key = perhaps_adjuvant.patient_key
    left join line_counts
        on
            dated.study_id = line_counts.study_id
            and dated.patient_key = line_counts.patient_key
    left join {{ ref('biomarkers') }} as her2
        on
            dated.study_id = her2.study_id
            and dated.patient_key = her2.patient_key
            and her2.biomarker = 'HER2'
    left join {{ ref('biomarkers') }} as ras_braf
        on
            dated.study_id = ras_braf.study_id
            and dated.patient_key = ras_braf.patient_key
            and ras_braf.biomarker = 'RAS_BRAF'
)

select * from final
