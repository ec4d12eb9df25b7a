-- Which treatment of a patient a rule set looks at. Line 1 may begin a few days before the index
-- date. Treatment that ended before then (adjuvant, perioperative) makes up earlier courses,
-- separated by gaps as lines are; the last of them belongs to line 1 only where the rule set says
-- so and it ended shortly enough before the index date. Nothing after the data cut-off or death
-- counts.

with histories as (
    select
        row_number() over (
            order by
                study_index.study_id,
                line_rule_sets.rule_set_id,
                study_index.patient_key
        ) as history_id,
        study_index.study_id,
        line_rule_sets.rule_set_id,
        study_index.patient_key,
        study_index.index_date,
        study_index.data_cutoff,
        study_index.last_contact_date,
        study_index.death_date,
        least(study_index.data_cutoff, study_index.death_date) as counts_until,
        study_index.index_date + line_rule_sets.line1_min_offset_days as first_line_from,
        line_rule_sets.adjuvant_as_line1_days,
        line_rule_sets.gap_days,
        line_rule_sets.regional_counts
    from {{ ref('int_study_index') }} as study_index
    inner join {{ ref('studies') }} as studies
        on study_index.study_id = studies.study_id
    inner join {{ ref('line_rule_sets') }} as line_rule_sets
        on studies.line_rule_set_id = line_rule_sets.base_rule_set_id
),

earlier_days as (
    select
        histories.history_id,
        exposures.start_date,
        max(max(exposures.coverage_end_date)) over (
            partition by histories.history_id
            order by exposures.start_date
            rows between unbounded preceding and 1 preceding
        ) as covered_before,
        max(exposures.coverage_end_date) as coverage_end_date
    from histories
    inner join {{ ref('int_drug_exposures') }} as exposures
        on
            histories.patient_key = exposures.patient_key
            and histories.first_line_from > exposures.start_date
            and histories.counts_until >= exposures.start_date
            and (exposures.is_systemic or histories.regional_counts)
            and exposures.role in ('antineoplastic', 'investigational')
    group by histories.history_id, exposures.start_date
),

earlier_course_days as (
    select
        earlier_days.*,
        count_if(
            earlier_days.covered_before is null
            or {{ days_between('earlier_days.covered_before', 'earlier_days.start_date') }}
            > histories.gap_days
        ) over (
            partition by earlier_days.history_id
            order by earlier_days.start_date
            rows between unbounded preceding and current row
        ) as course
    from earlier_days
    inner join histories
        on earlier_days.history_id = histories.history_id
),

last_courses as (
    select
        history_id,
        course,
        min(start_date) as start_date,
        max(coverage_end_date) as coverage_end_date
    from earlier_course_days
    group by history_id, course
    qualify row_number() over (
        partition by history_id
        order by course desc
    ) = 1
),

counted as (
    select
        histories.*,
        last_courses.course as courses,
        case
            when
                {{ days_between('last_courses.coverage_end_date', 'histories.index_date') }}
                <= histories.adjuvant_as_line1_days
                then last_courses.start_date
        end as adjuvant_from
    from histories
    left join last_courses
        on histories.history_id = last_courses.history_id
),

final as (
    select
        history_id,
        study_id,
        rule_set_id,
        patient_key,
        cast(
            coalesce(courses, 0) - case when adjuvant_from is null then 0 else 1 end as int
        ) as earlier_courses,
        regional_counts,
        index_date,
        coalesce(adjuvant_from, first_line_from) as counts_from,
        counts_until,
        data_cutoff,
        last_contact_date,
        death_date
    from counted
)

select * from final
