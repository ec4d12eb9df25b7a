-- The treatment days that lines are made of, under each rule set that varies the study's own:
-- systemic anticancer drugs up to the data cut-off and death, which also end coverage. Modifiers,
-- supportive drugs and drugs that the record does not name never count (Hess 2021, Future Oncol
-- 17:1865, regimen definition). Line 1 may begin a few days before the index date; treatment that
-- ended before it (adjuvant, perioperative) is counted as earlier courses, and belongs to line 1 only
-- where the rule set says so.

with rule_sets as (
    select
        studies.study_id,
        line_rule_sets.*
    from {{ ref('studies') }} as studies
    inner join {{ ref('line_rule_sets') }} as line_rule_sets
        on studies.line_rule_set_id = line_rule_sets.base_rule_set_id
),

interchange as (
    select
        rule_set_id,
        ingredient,
        interchange_group
    from {{ ref('line_interchange_groups') }}
    where effect = 'same_line'
),

observed as (
    select
        study_index.study_id,
        study_index.index_date,
        least(study_index.data_cutoff, study_index.death_date) as last_date,
        exposures.*
    from {{ ref('int_drug_exposures') }} as exposures
    inner join {{ ref('int_study_index') }} as study_index
        on
            exposures.patient_key = study_index.patient_key
            and exposures.start_date <= least(study_index.data_cutoff, study_index.death_date)
    where exposures.role in ('antineoplastic', 'investigational')
),

treatments as (
    select
        observed.study_id,
        rule_sets.rule_set_id,
        observed.patient_key,
        observed.ingredient,
        coalesce(interchange.interchange_group, observed.ingredient) as line_drug,
        observed.drug_class,
        observed.modality,
        observed.start_date,
        max(least(observed.coverage_end_date, observed.last_date)) as coverage_end_date,
        observed.index_date,
        observed.index_date + rule_sets.line1_min_offset_days as first_line_from,
        rule_sets.gap_days,
        rule_sets.adjuvant_as_line1_days
    from observed
    inner join rule_sets
        on
            observed.study_id = rule_sets.study_id
            and (observed.is_systemic or rule_sets.regional_counts)
    left join interchange
        on
            rule_sets.interchange_rule_set_id = interchange.rule_set_id
            and observed.ingredient = interchange.ingredient
    group by all
),

earlier_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        index_date,
        start_date,
        gap_days,
        adjuvant_as_line1_days,
        max(max(coverage_end_date)) over (
            partition by study_id, rule_set_id, patient_key
            order by start_date
            rows between unbounded preceding and 1 preceding
        ) as covered_before,
        max(coverage_end_date) as coverage_end_date
    from treatments
    where start_date < first_line_from
    group by
        study_id, rule_set_id, patient_key, index_date, start_date, gap_days, adjuvant_as_line1_days
),

earlier_course_days as (
    select
        *,
        count_if(
            covered_before is null
            or {{ days_between('covered_before', 'start_date') }} > gap_days
        ) over (
            partition by study_id, rule_set_id, patient_key
            order by start_date
            rows between unbounded preceding and current row
        ) as course
    from earlier_days
),

earlier_courses as (
    select
        study_id,
        rule_set_id,
        patient_key,
        course,
        case
            when
                {{ days_between('max(coverage_end_date)', 'max(index_date)') }}
                <= max(adjuvant_as_line1_days)
                then min(start_date)
        end as counts_from
    from earlier_course_days
    group by study_id, rule_set_id, patient_key, course
    qualify row_number() over (
        partition by study_id, rule_set_id, patient_key
        order by course desc
    ) = 1
),

final as (
    select
        treatments.study_id,
        treatments.rule_set_id,
        treatments.patient_key,
        treatments.ingredient,
        treatments.line_drug,
        treatments.drug_class,
        treatments.modality,
        treatments.start_date,
        treatments.coverage_end_date,
        treatments.start_date
        >= coalesce(earlier_courses.counts_from, treatments.first_line_from) as in_lines,
        case
            when earlier_courses.counts_from is null then coalesce(earlier_courses.course, 0)
            else earlier_courses.course - 1
        end as earlier_courses
    from treatments
    left join earlier_courses
        on
            treatments.study_id = earlier_courses.study_id
            and treatments.rule_set_id = earlier_courses.rule_set_id
            and treatments.patient_key = earlier_courses.patient_key
)

select * from final
