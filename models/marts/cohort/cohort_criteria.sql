-- Each rule of the closed vocabulary is evaluated once, for every criterion of every study that uses
-- it (seed study_criteria). `met` is true, false, or NULL when the record does not say.
-- Baseline is the start of line 1, or the index date of a patient who was never treated.

with criteria as (
    select * from {{ ref('study_criteria') }}
),

undecided_metastases as (
    select
        study_id,
        patient_key,
        min(metastasis_date) as first_date,
        {{ src_rids('src_rid') }} as src_rids
    from {{ ref('int_study_metastases') }}
    where is_of_disease is null
    group by study_id, patient_key
),

subjects as (
    select
        primary_diagnosis.study_id,
        primary_diagnosis.patient_key,
        primary_diagnosis.in_disease_list,
        primary_diagnosis.stage,
        primary_diagnosis.src_rid as diagnosis_src_rid,
        study_index.index_date,
        study_index.src_rids as index_src_rids,
        undecided_metastases.first_date as undecided_date,
        undecided_metastases.src_rids as undecided_src_rids,
        coalesce(first_lines.start_date, study_index.index_date) as baseline_date
    from {{ ref('int_primary_diagnosis') }} as primary_diagnosis
    left join {{ ref('int_study_index') }} as study_index
        on
            primary_diagnosis.study_id = study_index.study_id
            and primary_diagnosis.patient_key = study_index.patient_key
    left join undecided_metastases
        on
            primary_diagnosis.study_id = undecided_metastases.study_id
            and primary_diagnosis.patient_key = undecided_metastases.patient_key
    left join {{ ref('int_study_lines') }} as first_lines
        on
            primary_diagnosis.study_id = first_lines.study_id
            and primary_diagnosis.patient_key = first_lines.patient_key
            and first_lines.line_number = 1
),

diagnosis_in_code_list as (
    select
        criteria.study_id,
        criteria.criterion_id,
        subjects.patient_key,
        subjects.in_disease_list as met,
        case
            when subjects.in_disease_list then 'disease of the study'
            when not subjects.in_disease_list then 'another disease'
            else 'site or morphology unknown'
        end as finding,
        cast(null as date) as known_date,
        {{ src_rid_list('subjects.diagnosis_src_rid') }} as src_rids
    from criteria
    inner join subjects
        on criteria.study_id = subjects.study_id
    where criteria.rule = 'diagnosis_in_code_list'
),

index_in_period as (
    select
        criteria.study_id,
        criteria.criterion_id,
        subjects.patient_key,
        -- A metastasis that may be another cancer's leaves it open whether there is any of the study's
        -- disease, and one before the period whether the first of these lies in it. Stage IV without
        -- a dated metastasis, or no stage at all, does not say either.
        case
            when subjects.index_date < studies.period_start then false
            when subjects.undecided_date < studies.period_start then null
            when subjects.index_date is not null then subjects.index_date <= studies.data_cutoff
            when subjects.stage in ('I', 'II', 'III') and subjects.undecided_date is null then false
        end as met,
        case
            when subjects.index_date < studies.period_start
                then 'first metastasis before the study period'
            when subjects.undecided_date < studies.period_start
                then 'metastasis of an unknown primary before the study period'
            when subjects.index_date is not null then 'first metastasis in the study period'
            when subjects.undecided_date is not null then 'metastasis of an unknown primary'
            else coalesce('stage ' || subjects.stage || ' at diagnosis', 'stage unknown')
        end as finding,
        cast(null as date) as known_date,
        case
            when subjects.index_date < studies.period_start then subjects.index_src_rids
            when subjects.undecided_date < studies.period_start then subjects.undecided_src_rids
            else coalesce(
                subjects.index_src_rids,
                subjects.undecided_src_rids,
                {{ src_rid_list('subjects.diagnosis_src_rid') }}
            )
        end as src_rids
    from criteria
    inner join {{ ref('studies') }} as studies
        on criteria.study_id = studies.study_id
    inner join subjects
        on criteria.study_id = subjects.study_id
    where criteria.rule = 'index_in_period'
),

-- The last decision counts. Of two on one day the one against wins: no order of rows may make
-- consent of a withdrawal.
consent_decisions as (
    select
        *,
        concat_ws(
            ' ',
            cast(consent_date as string),
            case when decision = 'given' then '1' else '2' end,
            decision
        ) as decided
    from {{ ref('stg_common__consent') }}
),

consent_given as (
    select
        criteria.study_id,
        criteria.criterion_id,
        consent.patient_key,
        max_by(consent.decision = 'given', consent.decided) as met,
        max_by(consent.decision, consent.decided) as finding,
        cast(null as date) as known_date,
        {{ src_rids('consent.src_rid') }} as src_rids
    from criteria
    inner join consent_decisions as consent
        on criteria.argument = consent.purpose
    where criteria.rule = 'consent_given'
    group by criteria.study_id, criteria.criterion_id, consent.patient_key
),

biomarker_status as (
    select
        criteria.study_id,
        criteria.criterion_id,
        biomarkers.patient_key,
        case
            when biomarkers.status <> 'unknown'
                then criteria.wanted in ('known', biomarkers.status)
        end as met,
        biomarkers.evidence as finding,
        case when biomarkers.status <> 'unknown' then biomarkers.known_date end as known_date,
        biomarkers.src_rids
    from criteria
    inner join {{ ref('biomarkers') }} as biomarkers
        on
            criteria.study_id = biomarkers.study_id
            and criteria.argument = biomarkers.biomarker
    where criteria.rule = 'biomarker_status'
),

-- A target lesion without a size may be measurable; one that the reader did not choose as target has no
-- size to miss.
baseline_lesions as (
    select
        criteria.study_id,
        criteria.criterion_id,
        criteria.minimum,
        subjects.patient_key,
        lesions.lesion_id,
        case
            when lesions.is_measurable is not null then lesions.is_measurable
            when
                lesions.lesion_role <> 'target'
                or lesions.lesion_status in ('disappeared', 'too_small')
                then false
        end as is_measurable,
        lesions.src_rid
    from criteria
    inner join subjects
        on criteria.study_id = subjects.study_id
    inner join {{ ref('int_lesions') }} as lesions
        on
            subjects.patient_key = lesions.patient_key
            and lesions.measured_date >= subjects.baseline_date - criteria.days_before
            and lesions.measured_date <= subjects.baseline_date + criteria.days_after
    where criteria.rule = 'measurable_lesions'
),

measurable_lesions as (
    select
        study_id,
        criterion_id,
        patient_key,
        max(minimum) as minimum,
        count(distinct case when is_measurable then lesion_id end) as measurable_count,
        count(distinct case when coalesce(is_measurable, true) then lesion_id end)
            as possible_count,
        {{ src_rids('src_rid') }} as src_rids
    from baseline_lesions
    group by study_id, criterion_id, patient_key
),

-- Karnofsky scores are read as ECOG after Oken 1982. A score that its scale does not have, such as
-- ECOG 80, was written under the wrong scale and says nothing.
performance_scores as (
    select
        patient_key,
        assessed_date,
        case
            when scale = 'ECOG' then score
            when score >= 90 then 0
            when score >= 70 then 1
            when score >= 50 then 2
            when score >= 30 then 3
            when score >= 10 then 4
            else 5
        end as ecog,
        src_rid
    from {{ ref('stg_common__performance_status') }}
    where
        (scale = 'ECOG' and score <= 5)
        or (scale = 'KPS' and (score >= 10 or score = 0))
),

-- The record nearest to baseline counts; of two on one day the worse, whatever the order of rows.
performance_records as (
    select
        criteria.study_id,
        criteria.criterion_id,
        subjects.patient_key,
        criteria.minimum,
        criteria.maximum,
        records.ecog,
        records.src_rid
    from criteria
    inner join subjects
        on criteria.study_id = subjects.study_id
    inner join performance_scores as records
        on
            subjects.patient_key = records.patient_key
            and records.assessed_date >= subjects.baseline_date - criteria.days_before
            and records.assessed_date <= subjects.baseline_date + criteria.days_after
    where criteria.rule = 'performance_status'
    qualify row_number() over (
        partition by criteria.study_id, criteria.criterion_id, subjects.patient_key
        order by
            abs({{ days_between('subjects.baseline_date', 'records.assessed_date') }}),
            records.assessed_date,
            records.ecog desc,
            records.src_rid
    ) = 1
),

-- No entry in the list of conditions means no condition only if somebody asked: a reviewed problem
-- list up to baseline. Otherwise it is unknown, and so it is if a condition may have begun later.
listed_conditions as (
    select
        conditions.patient_key,
        code_lists.code_list,
        -- The finding is published: only the code itself.
        regexp_extract(upper(conditions.icd10), '^[A-Z][0-9]{2}([.][0-9A-Z]{1,2}|[0-9]{1,2})?', 0) as icd10,
        conditions.onset_date_earliest,
        conditions.onset_date_latest,
        conditions.recorded_date,
        conditions.src_rid
    from {{ ref('stg_common__comorbidities') }} as conditions
    inner join {{ ref('code_lists') }} as code_lists
        on
            code_lists.code_system = 'icd10'
            and replace(upper(conditions.icd10), '.', '') like replace(code_lists.code, '.', '') || '%'
),

reviews as (
    select
        patient_key,
        min(start_date) as first_review_date,
        min_by(
            src_rid, concat_ws(' ', cast(start_date as string), cast(src_rid as string))
        ) as src_rid
    from {{ ref('stg_common__encounters') }}
    where problem_list_reviewed = 'yes'
    group by patient_key
),

no_condition_in_code_list as (
    select
        criteria.study_id,
        criteria.criterion_id,
        subjects.patient_key,
        case
            when
                count_if(
                    conditions.onset_date_latest <= subjects.baseline_date
                    or conditions.recorded_date <= subjects.baseline_date
                ) > 0
                then false
            when count(conditions.src_rid) > 0 then null
            when min(reviews.first_review_date) <= min(subjects.baseline_date) then true
        end as met,
        coalesce(
            {{ string_agg_sorted('conditions.icd10', ', ') }},
            case
                when min(subjects.baseline_date) is null then 'no index date'
                when min(reviews.first_review_date) <= min(subjects.baseline_date)
                    then 'problem list reviewed, none listed'
                else 'problem list not reviewed'
            end
        ) as finding,
        cast(null as date) as known_date,
        coalesce(
            {{ src_rids('conditions.src_rid') }},
            {{ src_rids('reviews.src_rid') }}
        ) as src_rids
    from criteria
    inner join subjects
        on criteria.study_id = subjects.study_id
    left join listed_conditions as conditions
        on
            subjects.patient_key = conditions.patient_key
            and criteria.argument = conditions.code_list
            and (
                conditions.onset_date_earliest is null
                or conditions.onset_date_earliest <= subjects.baseline_date
            )
    left join reviews
        on subjects.patient_key = reviews.patient_key
    where criteria.rule = 'no_condition_in_code_list'
    group by criteria.study_id, criteria.criterion_id, subjects.patient_key
),

-- Nobody is included before the last of the cycles asked for has begun: the time until then is
-- immortal, whatever the treatment (Suissa 2008).
cycle_starts as (
    select
        criteria.study_id,
        criteria.criterion_id,
        histories.patient_key,
        line_days.start_date,
        row_number() over (
            partition by criteria.study_id, criteria.criterion_id, histories.patient_key
            order by line_days.start_date
        ) as cycle_number
    from criteria
    inner join {{ ref('studies') }} as studies
        on criteria.study_id = studies.study_id
    inner join {{ ref('int_line_histories') }} as histories
        on
            studies.study_id = histories.study_id
            and studies.line_rule_set_id = histories.rule_set_id
    inner join {{ ref('int_line_layouts') }} as layouts
        on histories.history_id = layouts.history_id
    inner join {{ ref('int_line_days') }} as line_days
        on
            layouts.layout_id = line_days.layout_id
            and try_cast(criteria.argument as int) = line_days.line_number
    where
        criteria.rule = 'treatment_cycles'
        and line_days.begins_cycle
),

treatment_cycles as (
    select
        criteria.study_id,
        criteria.criterion_id,
        subjects.patient_key,
        -- Lines are counted from the index date.
        case
            when subjects.index_date is not null
                then coalesce(study_lines.n_cycles, 0) >= criteria.minimum
        end as met,
        case
            when subjects.index_date is not null
                then cast(coalesce(study_lines.n_cycles, 0) as string) || ' cycles'
            else 'no index date'
        end as finding,
        cycle_starts.start_date as known_date,
        study_lines.src_rids
    from criteria
    inner join subjects
        on criteria.study_id = subjects.study_id
    left join {{ ref('int_study_lines') }} as study_lines
        on
            subjects.study_id = study_lines.study_id
            and subjects.patient_key = study_lines.patient_key
            and try_cast(criteria.argument as int) = study_lines.line_number
    left join cycle_starts
        on
            criteria.study_id = cycle_starts.study_id
            and criteria.criterion_id = cycle_starts.criterion_id
            and subjects.patient_key = cycle_starts.patient_key
            and criteria.minimum = cycle_starts.cycle_number
    where criteria.rule = 'treatment_cycles'
),

evaluations as (
    select study_id, criterion_id, patient_key, met, finding, known_date, src_rids
    from diagnosis_in_code_list
    union all
    select study_id, criterion_id, patient_key, met, finding, known_date, src_rids
    from index_in_period
    union all
    select study_id, criterion_id, patient_key, met, finding, known_date, src_rids
    from consent_given
    union all
    select study_id, criterion_id, patient_key, met, finding, known_date, src_rids
    from biomarker_status
    union all
    select
        study_id,
        criterion_id,
        patient_key,
        case
            when measurable_count >= minimum then true
            when possible_count < minimum then false
        end as met,
        cast(measurable_count as string)
        || ' measurable lesions'
        || case
            when possible_count > measurable_count
                then ', ' || cast(possible_count - measurable_count as string) || ' of unknown size'
            else ''
        end as finding,
        cast(null as date) as known_date,
        src_rids
    from measurable_lesions
    union all
    select
        study_id,
        criterion_id,
        patient_key,
        ecog between minimum and maximum as met,
        'ECOG ' || cast(ecog as string) as finding,
        cast(null as date) as known_date,
        {{ src_rid_list('src_rid') }} as src_rids
    from performance_records
    union all
    select study_id, criterion_id, patient_key, met, finding, known_date, src_rids
    from no_condition_in_code_list
    union all
    select study_id, criterion_id, patient_key, met, finding, known_date, src_rids
    from treatment_cycles
),

-- Every patient gets a row for every criterion; no evaluation means the record does not say.
final as (
    select
        criteria.study_id,
        subjects.patient_key,
        criteria.step,
        criteria.criterion_id,
        criteria.label as criterion,
        evaluations.met,
        coalesce(evaluations.finding, 'no record') as finding,
        evaluations.known_date,
        {{ days_between('subjects.index_date', 'evaluations.known_date') }} as known_day,
        evaluations.src_rids
    from criteria
    inner join subjects
        on criteria.study_id = subjects.study_id
    left join evaluations
        on
            criteria.study_id = evaluations.study_id
            and criteria.criterion_id = evaluations.criterion_id
            and subjects.patient_key = evaluations.patient_key
)

select * from final
