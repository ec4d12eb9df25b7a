-- What a reader of a line should know before trusting it. The flags, their meaning and what each takes
-- off the confidence are in seed line_flags.

with spans as (
    select * from {{ ref('int_line_spans') }}
),

exposures as (
    select * from {{ ref('int_exposure_lines') }}
),

components as (
    select * from {{ ref('line_components') }}
),

rule_sets as (
    select * from {{ ref('line_rule_sets') }}
),

span_flags as (
    select
        spans.study_id,
        spans.rule_set_id,
        spans.patient_key,
        spans.line_number,
        spans.line_number = 1 and spans.start_day > rule_sets.late_start_days as late_start,
        spans.longest_gap_days > rule_sets.long_gap_days as long_gap,
        spans.n_treatment_days = 1 as one_day
    from spans
    inner join rule_sets
        on spans.rule_set_id = rule_sets.rule_set_id
),

exposure_flags as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        count_if(is_counted and placement = 'INTERCHANGEABLE') > 0 as substitution,
        count_if(
            is_counted and placement in ('SUPPLEMENTS_MONOTHERAPY', 'ADDED_WITHIN_CLASS_LIMIT')
        ) > 0 as augmented,
        count_if(is_counted and placement = 'NOT_CONFIRMED') > 0 as not_confirmed,
        count_if(is_counted and role = 'investigational') > 0 as investigational,
        count_if(is_counted and intent in ('adjuvant', 'neoadjuvant')) > 0 as curative_intent,
        count_if(placement = 'DRUG_NOT_NAMED') > 0 as unknown_drug,
        count_if(placement = 'REGIONAL_ROUTE') > 0 as regional,
        count_if(placement = 'AFTER_DEATH') > 0 as after_death
    from exposures
    where line_number is not null
    group by study_id, rule_set_id, patient_key, line_number
),

continued_from_before as (
    select distinct
        spans.study_id,
        spans.rule_set_id,
        spans.patient_key,
        spans.line_number
    from spans
    inner join rule_sets
        on spans.rule_set_id = rule_sets.rule_set_id
    inner join components
        on
            spans.study_id = components.study_id
            and spans.rule_set_id = components.rule_set_id
            and spans.patient_key = components.patient_key
            and spans.line_number = components.line_number
    inner join exposures
        on
            spans.study_id = exposures.study_id
            and spans.rule_set_id = exposures.rule_set_id
            and spans.patient_key = exposures.patient_key
            and components.ingredient = exposures.ingredient
            and exposures.placement = 'BEFORE_FIRST_LINE'
            and exposures.start_date >= spans.start_date - rule_sets.regimen_window_days
    where spans.line_number = 1
),

multi_targeted as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number
    from components
    where
        line_number = 1
        and modality in ('targeted', 'immunotherapy')
    group by study_id, rule_set_id, patient_key, line_number
    having count(distinct drug_class) > 1
),

treated_through_progression as (
    select distinct
        spans.study_id,
        spans.rule_set_id,
        spans.patient_key,
        spans.line_number
    from spans
    inner join {{ ref('int_progressions') }} as progressions
        on
            spans.patient_key = progressions.patient_key
            and spans.start_date < progressions.progression_date
    inner join exposures
        on
            spans.study_id = exposures.study_id
            and spans.rule_set_id = exposures.rule_set_id
            and spans.patient_key = exposures.patient_key
            and spans.line_number = exposures.line_number
            and progressions.progression_date < exposures.start_date
            and exposures.is_counted
    group by
        spans.study_id,
        spans.rule_set_id,
        spans.patient_key,
        spans.line_number,
        progressions.progression_date
    having count(distinct exposures.start_date) >= 2
),

-- Each drug of a line beside the same drug in the neighbouring lines.
component_drugs as (
    select distinct
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        ingredient,
        line_drug
    from exposures
    where
        is_counted
        and placement <> 'NOT_CONFIRMED'
),

drug_lines as (
    select distinct
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        line_drug
    from component_drugs
),

rechallenges as (
    select distinct
        study_id,
        rule_set_id,
        patient_key,
        line_number
    from drug_lines
    qualify line_number - lag(line_number) over (
        partition by study_id, rule_set_id, patient_key, line_drug
        order by line_number
    ) > 1
),

stopped_drugs as (
    select
        ending.study_id,
        ending.rule_set_id,
        ending.patient_key,
        ending.line_number,
        ending.ingredient,
        ending.line_drug,
        components.last_date
    from component_drugs as ending
    inner join components
        on
            ending.study_id = components.study_id
            and ending.rule_set_id = components.rule_set_id
            and ending.patient_key = components.patient_key
            and ending.line_number = components.line_number
            and ending.ingredient = components.ingredient
    inner join component_drugs as staying
        on
            ending.study_id = staying.study_id
            and ending.rule_set_id = staying.rule_set_id
            and ending.patient_key = staying.patient_key
            and ending.line_number = staying.line_number
            and ending.line_drug <> staying.line_drug
    inner join drug_lines as kept
        on
            staying.study_id = kept.study_id
            and staying.rule_set_id = kept.rule_set_id
            and staying.patient_key = kept.patient_key
            and staying.line_drug = kept.line_drug
            and staying.line_number + 1 = kept.line_number
    left join drug_lines as went_on
        on
            ending.study_id = went_on.study_id
            and ending.rule_set_id = went_on.rule_set_id
            and ending.patient_key = went_on.patient_key
            and ending.line_drug = went_on.line_drug
            and ending.line_number + 1 = went_on.line_number
    where went_on.line_drug is null
    group by all
),

toxicity_stops as (
    select distinct
        stopped_drugs.study_id,
        stopped_drugs.rule_set_id,
        stopped_drugs.patient_key,
        stopped_drugs.line_number
    from stopped_drugs
    inner join rule_sets
        on stopped_drugs.rule_set_id = rule_sets.rule_set_id
    inner join {{ ref('stg_common__adverse_events') }} as adverse_events
        on
            stopped_drugs.patient_key = adverse_events.patient_key
            and adverse_events.onset_date
            between stopped_drugs.last_date - rule_sets.regimen_window_days
            and stopped_drugs.last_date + rule_sets.regimen_window_days
            and adverse_events.grade in ('3', '4')
            and adverse_events.attribution in ('possible', 'probable', 'definite')
),

possible_substitutions as (
    select distinct
        spans.study_id,
        spans.rule_set_id,
        spans.patient_key,
        spans.line_number
    from spans
    inner join rule_sets
        on spans.rule_set_id = rule_sets.rule_set_id
    inner join stopped_drugs
        on
            spans.study_id = stopped_drugs.study_id
            and spans.rule_set_id = stopped_drugs.rule_set_id
            and spans.patient_key = stopped_drugs.patient_key
            and spans.line_number = stopped_drugs.line_number + 1
    inner join components
        on
            spans.study_id = components.study_id
            and spans.rule_set_id = components.rule_set_id
            and spans.patient_key = components.patient_key
            and spans.line_number = components.line_number
            and spans.start_date = components.first_date
    inner join {{ ref('line_interchange_groups') }} as old_drug
        on
            rule_sets.interchange_rule_set_id = old_drug.rule_set_id
            and stopped_drugs.ingredient = old_drug.ingredient
            and old_drug.effect = 'review'
    inner join {{ ref('line_interchange_groups') }} as new_drug
        on
            old_drug.rule_set_id = new_drug.rule_set_id
            and old_drug.interchange_group = new_drug.interchange_group
            and components.ingredient = new_drug.ingredient
    left join component_drugs as given_before
        on
            spans.study_id = given_before.study_id
            and spans.rule_set_id = given_before.rule_set_id
            and spans.patient_key = given_before.patient_key
            and stopped_drugs.line_number = given_before.line_number
            and components.ingredient = given_before.ingredient
    where
        spans.start_reason = 'NEW_CHEMO'
        and given_before.ingredient is null
),

-- A line begun by a new drug that was then given on no other day.
isolated_starters as (
    select distinct
        components.study_id,
        components.rule_set_id,
        components.patient_key,
        components.line_number
    from components
    inner join spans
        on
            components.study_id = spans.study_id
            and components.rule_set_id = spans.rule_set_id
            and components.patient_key = spans.patient_key
            and components.line_number = spans.line_number
            and components.first_date = spans.start_date
    left join components as earlier
        on
            components.study_id = earlier.study_id
            and components.rule_set_id = earlier.rule_set_id
            and components.patient_key = earlier.patient_key
            and components.ingredient = earlier.ingredient
            and components.line_number = earlier.line_number + 1
    where
        components.n_exposures = 1
        and components.line_number > 1
        and spans.start_reason not in ('GAP', 'PD_RESTART', 'DRUG_DROPPED')
        and earlier.ingredient is null
),

final as (
    {%- for flag, relation, condition in [
        ('LATE_START_GT_90', 'span_flags', 'late_start'),
        ('LONG_GAP_WITHIN_LINE', 'span_flags', 'long_gap'),
        ('ISOLATED_EXPOSURE', 'span_flags', 'one_day'),
        ('ISOLATED_EXPOSURE', 'exposure_flags', 'not_confirmed'),
        ('ISOLATED_EXPOSURE', 'isolated_starters', 'true'),
        ('SUBSTITUTION', 'exposure_flags', 'substitution'),
        ('AUGMENTED', 'exposure_flags', 'augmented'),
        ('INVESTIGATIONAL', 'exposure_flags', 'investigational'),
        ('CURATIVE_INTENT', 'exposure_flags', 'curative_intent'),
        ('UNKNOWN_DRUG', 'exposure_flags', 'unknown_drug'),
        ('REGIONAL_THERAPY', 'exposure_flags', 'regional'),
        ('DATA_ERROR', 'exposure_flags', 'after_death'),
        ('CONTINUED_FROM_PRE_INDEX', 'continued_from_before', 'true'),
        ('MULTI_TARGETED_L1', 'multi_targeted', 'true'),
        ('PD_NO_CHANGE', 'treated_through_progression', 'true'),
        ('RECHALLENGE', 'rechallenges', 'true'),
        ('TOXICITY_STOP', 'toxicity_stops', 'true'),
        ('POSSIBLE_TOXICITY_SUBSTITUTION', 'possible_substitutions', 'true'),
    ] %}
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        '{{ flag }}' as flag
    from {{ relation }}
    where {{ condition }}
    union
    {%- endfor %}
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        'REINTRODUCTION' as flag
    from {{ ref('line_phases') }}
    where phase = 'reintroduction'
)

select * from final
