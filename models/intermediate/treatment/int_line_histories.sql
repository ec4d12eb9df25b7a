-- Which treatment of a patient a rule set looks at. Line 1 may begin a few days before the index
-- date. Treatment that ended before then (adjuvant, perioperative) makes up earlier courses,
-- separated by gaps as lines are; the last of them belongs to line 1 only where the rule set says
-- so and it ended shortly enough before the index date. Nothing after the data cut-off or death
-- counts.
--
-- Most rule sets look at the same treatment of most patients: histories that do share a
-- `treatment_id`, so that what follows from the treatment alone is computed once.

with histories as (
    select
        cast(
            row_number() over (
                order by
                    study_index.study_id,
                    line_rule_sets.rule_set_id,
                    study_index.patient_key
            ) as bigint
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
        line_rule_sets.regional_counts,
        line_rule_sets.interchange_rule_set_id
    from {{ ref('int_study_index') }} as study_index
    inner join {{ ref('studies') }} as studies
        on study_index.study_id = studies.study_id
    inner join {{ ref('line_rule_sets') }} as own_rule_set
        on studies.line_rule_set_id = own_rule_set.rule_set_id
    inner join {{ ref('line_rule_sets') }} as line_rule_sets
        on own_rule_set.base_rule_set_id = line_rule_sets.base_rule_set_id
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
            and exposures.is_named_anticancer
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

dated as (
    select
        history_id,
        study_id,
        rule_set_id,
        patient_key,
        cast(
            coalesce(courses, 0) - case when adjuvant_from is null then 0 else 1 end as int
        ) as earlier_courses,
        regional_counts,
        interchange_rule_set_id,
        index_date,
        coalesce(adjuvant_from, first_line_from) as counts_from,
        counts_until,
        data_cutoff,
        last_contact_date,
        death_date
    from counted
),

anticancer as (
    select
        patient_key,
        ingredient,
        is_systemic,
        start_date
    from {{ ref('int_drug_exposures') }}
    where is_anticancer
),

first_days as (
    select
        histories.patient_key,
        histories.counts_from,
        min(exposures.start_date) as first_day
    from (select distinct patient_key, counts_from from dated) as histories
    inner join anticancer as exposures
        on
            histories.patient_key = exposures.patient_key
            and histories.counts_from <= exposures.start_date
    group by histories.patient_key, histories.counts_from
),

regional as (
    select distinct patient_key
    from anticancer
    where not is_systemic
),

-- Which of a patient's drugs a rule set takes for one another.
interchangeable_drugs as (
    select
        anticancer.patient_key,
        interchangeable.ingredient
    from anticancer
    inner join (
        select ingredient
        from {{ ref('line_interchange_groups') }}
        where effect = 'same_line'
        group by ingredient
    ) as interchangeable
        on anticancer.ingredient = interchangeable.ingredient
    group by anticancer.patient_key, interchangeable.ingredient
),

interchanged_drugs as (
    select
        drugs.patient_key,
        interchange.rule_set_id,
        interchange.interchange_group,
        {{ string_agg_sorted('drugs.ingredient', '+') }} as drugs
    from interchangeable_drugs as drugs
    inner join {{ ref('line_interchange_groups') }} as interchange
        on
            drugs.ingredient = interchange.ingredient
            and interchange.effect = 'same_line'
    group by drugs.patient_key, interchange.rule_set_id, interchange.interchange_group
    having count(*) > 1
),

interchanges as (
    select
        patient_key,
        rule_set_id,
        {{ string_agg_sorted('drugs', ';') }} as drugs
    from interchanged_drugs
    group by patient_key, rule_set_id
),

final as (
    select
        dated.history_id,
        min(dated.history_id) over (
            partition by
                dated.study_id,
                dated.patient_key,
                first_days.first_day,
                dated.regional_counts and regional.patient_key is not null,
                interchanges.drugs
        ) as treatment_id,
        dated.study_id,
        dated.rule_set_id,
        dated.patient_key,
        dated.earlier_courses,
        dated.regional_counts,
        dated.index_date,
        dated.counts_from,
        dated.counts_until,
        dated.data_cutoff,
        dated.last_contact_date,
        dated.death_date
    from dated
    left join first_days
        on
            dated.patient_key = first_days.patient_key
            and dated.counts_from = first_days.counts_from
    left join regional
        on dated.patient_key = regional.patient_key
    left join interchanges
        on
            dated.patient_key = interchanges.patient_key
            and dated.interchange_rule_set_id = interchanges.rule_set_id
)

select * from final
