-- Every anticancer exposure of every patient with an index date: the line under way that day, whether
-- it counts, and the rule that placed it in the line or kept it out.

with rule_sets as (
    select
        studies.study_id,
        studies.data_cutoff,
        line_rule_sets.*
    from {{ ref('studies') }} as studies
    inner join {{ ref('line_rule_sets') }} as line_rule_sets
        on studies.line_rule_set_id = line_rule_sets.base_rule_set_id
),

exposures as (
    select
        rule_sets.study_id,
        rule_sets.rule_set_id,
        rule_sets.regimen_window_days,
        rule_sets.min_days_new_drug,
        exposures.*,
        line_exposures.line_drug,
        line_exposures.coverage_end_date as counted_until,
        case
            when exposures.start_date > study_index.data_cutoff then 'AFTER_DATA_CUTOFF'
            when exposures.start_date > study_index.death_date then 'AFTER_DEATH'
            when exposures.role = 'unknown_antineoplastic' then 'DRUG_NOT_NAMED'
            when not (exposures.is_systemic or rule_sets.regional_counts) then 'REGIONAL_ROUTE'
            when not line_exposures.in_lines then 'BEFORE_FIRST_LINE'
        end as not_counted_because
    from {{ ref('int_drug_exposures') }} as exposures
    inner join {{ ref('int_study_index') }} as study_index
        on exposures.patient_key = study_index.patient_key
    inner join rule_sets
        on study_index.study_id = rule_sets.study_id
    left join {{ ref('int_line_exposures') }} as line_exposures
        on
            rule_sets.study_id = line_exposures.study_id
            and rule_sets.rule_set_id = line_exposures.rule_set_id
            and exposures.patient_key = line_exposures.patient_key
            and exposures.ingredient = line_exposures.ingredient
            and exposures.start_date = line_exposures.start_date
    where exposures.role in ('antineoplastic', 'investigational', 'unknown_antineoplastic')
),

dated as (
    select
        exposures.*,
        line_starts.line_number,
        line_starts.start_date as line_start_date,
        {{ days_between('line_starts.start_date', 'exposures.start_date') }} as days_from_line_start
    from exposures
    left join {{ ref('int_line_starts') }} as line_starts
        on
            exposures.study_id = line_starts.study_id
            and exposures.rule_set_id = line_starts.rule_set_id
            and exposures.patient_key = line_starts.patient_key
            and exposures.start_date >= line_starts.start_date
            and exposures.start_date
            < coalesce(line_starts.next_line_start_date, exposures.start_date + 1)
),

first_given as (
    select
        *,
        min(start_date) over (
            partition by
                study_id, rule_set_id, patient_key, line_number, not_counted_because, ingredient
        ) as ingredient_first_date,
        min(start_date) over (
            partition by
                study_id, rule_set_id, patient_key, line_number, not_counted_because, line_drug
        ) as line_drug_first_date,
        dense_rank() over (
            partition by
                study_id, rule_set_id, patient_key, line_number, not_counted_because, line_drug
            order by start_date desc
        ) as days_given_from_here
    from dated
),

final as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        ingredient,
        line_drug,
        drug_class,
        role,
        modality,
        is_systemic,
        intent,
        not_counted_because is null as is_counted,
        case
            when not_counted_because is not null then not_counted_because
            when start_date = line_start_date then 'STARTS_LINE'
            when start_date > ingredient_first_date then 'GIVEN_BEFORE_IN_LINE'
            when days_from_line_start <= regimen_window_days then 'WITHIN_REGIMEN_WINDOW'
            when start_date > line_drug_first_date then 'INTERCHANGEABLE'
            when days_given_from_here < min_days_new_drug then 'NOT_CONFIRMED'
            when modality = 'cytotoxic' then 'SUPPLEMENTS_MONOTHERAPY'
            else 'ADDED_WITHIN_CLASS_LIMIT'
        end as placement,
        start_date,
        coalesce(counted_until, coverage_end_date) as coverage_end_date,
        days_from_line_start,
        src_rids
    from first_given
)

select * from final
