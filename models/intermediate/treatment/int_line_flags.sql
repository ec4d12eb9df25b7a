-- What a reader of a line should know before trusting it. The flags, their meaning and what each
-- takes off the confidence are in seed line_flags.

with histories as (
    select
        histories.history_id,
        histories.study_id,
        histories.patient_key,
        rule_sets.*
    from {{ ref('int_line_histories') }} as histories
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
),

spans as (
    select * from {{ ref('int_line_spans') }}
),

exposures as (
    select * from {{ ref('int_exposure_lines') }}
),

components as (
    select
        history_id,
        line_number,
        ingredient,
        line_drug,
        drug_class,
        modality,
        min(start_date) as first_date,
        max(start_date) as last_date
    from exposures
    where
        is_counted
        and placement <> 'NOT_CONFIRMED'
    group by history_id, line_number, ingredient, line_drug, drug_class, modality
),

line_drugs as (
    select distinct
        history_id,
        line_number,
        line_drug
    from components
),

span_flags as (
    select
        spans.history_id,
        spans.line_number,
        spans.line_number = 1 and spans.start_day > histories.late_start_days as late_start,
        spans.longest_gap_days > histories.long_gap_days as long_gap,
        spans.n_treatment_days = 1 as one_day
    from spans
    inner join histories
        on spans.history_id = histories.history_id
),

exposure_flags as (
    select
        history_id,
        line_number,
        count_if(placement = 'INTERCHANGEABLE') > 0 as substitution,
        count_if(
            placement in (
                'SUPPLEMENTS_MONOTHERAPY', 'REPLACES_NOT_TOLERATED', 'ADDED_WITHIN_CLASS_LIMIT'
            )
        ) > 0 as augmented,
        count_if(placement = 'NOT_CONFIRMED') > 0 as not_confirmed,
        count_if(is_counted and role = 'investigational') > 0 as investigational,
        count_if(is_counted and intent in ('adjuvant', 'neoadjuvant')) > 0 as curative_intent,
        count_if(placement = 'DRUG_NOT_NAMED') > 0 as unknown_drug,
        count_if(placement = 'REGIONAL_ROUTE') > 0 as regional,
        count_if(placement = 'AFTER_DEATH') > 0 as after_death
    from exposures
    where line_number is not null
    group by history_id, line_number
),

first_line_ingredients as (
    select
        components.history_id,
        components.line_number,
        components.ingredient,
        spans.start_date - histories.regimen_window_days as shortly_before
    from components
    inner join spans
        on
            components.history_id = spans.history_id
            and components.line_number = spans.line_number
    inner join histories
        on components.history_id = histories.history_id
    where components.line_number = 1
),

continued_from_before as (
    select distinct
        first_line_ingredients.history_id,
        first_line_ingredients.line_number
    from first_line_ingredients
    inner join exposures
        on
            first_line_ingredients.history_id = exposures.history_id
            and first_line_ingredients.ingredient = exposures.ingredient
            and first_line_ingredients.shortly_before <= exposures.start_date
            and exposures.placement = 'BEFORE_FIRST_LINE'
),

multi_targeted as (
    select
        history_id,
        line_number
    from components
    where
        line_number = 1
        and modality in ('targeted', 'immunotherapy')
    group by history_id, line_number
    having count(distinct drug_class) > 1
),

line_progressions as (
    select
        spans.history_id,
        spans.line_number,
        progressions.progression_date
    from spans
    inner join histories
        on spans.history_id = histories.history_id
    inner join {{ ref('int_progressions') }} as progressions
        on
            histories.patient_key = progressions.patient_key
            and spans.start_date < progressions.progression_date
            and spans.end_date > progressions.progression_date
),

treated_through_progression as (
    select
        line_progressions.history_id,
        line_progressions.line_number
    from line_progressions
    inner join exposures
        on
            line_progressions.history_id = exposures.history_id
            and line_progressions.line_number = exposures.line_number
            and line_progressions.progression_date < exposures.start_date
            and exposures.is_counted
    group by
        line_progressions.history_id,
        line_progressions.line_number,
        line_progressions.progression_date
    having count(distinct exposures.start_date) >= 2
),

rechallenges as (
    select distinct
        history_id,
        line_number
    from line_drugs
    qualify line_number - lag(line_number) over (
        partition by history_id, line_drug
        order by line_number
    ) > 1
),

drugs_and_the_next_line as (
    select
        line_drugs.history_id,
        line_drugs.line_number,
        line_drugs.line_drug,
        next_drugs.line_drug is not null as is_kept
    from line_drugs
    inner join spans as next_spans
        on
            line_drugs.history_id = next_spans.history_id
            and line_drugs.line_number + 1 = next_spans.line_number
    left join line_drugs as next_drugs
        on
            line_drugs.history_id = next_drugs.history_id
            and line_drugs.line_drug = next_drugs.line_drug
            and line_drugs.line_number + 1 = next_drugs.line_number
),

partly_kept_lines as (
    select
        history_id,
        line_number
    from drugs_and_the_next_line
    group by history_id, line_number
    having bool_or(is_kept) and not bool_and(is_kept)
),

-- Drugs left out of the next line while another was kept.
stopped_drugs as (
    select
        components.history_id,
        components.line_number,
        components.ingredient,
        components.last_date
    from drugs_and_the_next_line
    inner join partly_kept_lines
        on
            drugs_and_the_next_line.history_id = partly_kept_lines.history_id
            and drugs_and_the_next_line.line_number = partly_kept_lines.line_number
    inner join components
        on
            drugs_and_the_next_line.history_id = components.history_id
            and drugs_and_the_next_line.line_number = components.line_number
            and drugs_and_the_next_line.line_drug = components.line_drug
    where not drugs_and_the_next_line.is_kept
),

toxicity_stops as (
    select distinct
        stopped_drugs.history_id,
        stopped_drugs.line_number
    from stopped_drugs
    inner join histories
        on stopped_drugs.history_id = histories.history_id
    inner join {{ ref('stg_common__adverse_events') }} as adverse_events
        on
            histories.patient_key = adverse_events.patient_key
            and adverse_events.onset_date
            between stopped_drugs.last_date - histories.regimen_window_days
            and stopped_drugs.last_date + histories.regimen_window_days
            and adverse_events.grade in ('3', '4')
            and adverse_events.attribution in ('possible', 'probable', 'definite')
),

-- Lines begun by a drug that the line before did not have.
starters as (
    select
        components.history_id,
        components.line_number,
        components.ingredient,
        components.last_date = components.first_date as one_day
    from components
    inner join spans
        on
            components.history_id = spans.history_id
            and components.line_number = spans.line_number
            and components.first_date = spans.start_date
    left join components as earlier
        on
            components.history_id = earlier.history_id
            and components.line_number = earlier.line_number + 1
            and components.ingredient = earlier.ingredient
    where
        components.line_number > 1
        and spans.start_reason not in ('GAP', 'DRUG_DROPPED')
        and earlier.ingredient is null
),

isolated_starters as (
    select distinct
        history_id,
        line_number
    from starters
    where one_day
),

possible_substitutions as (
    select distinct
        starters.history_id,
        starters.line_number
    from starters
    inner join histories
        on starters.history_id = histories.history_id
    inner join stopped_drugs
        on
            starters.history_id = stopped_drugs.history_id
            and starters.line_number = stopped_drugs.line_number + 1
    inner join {{ ref('line_interchange_groups') }} as old_drug
        on
            histories.interchange_rule_set_id = old_drug.rule_set_id
            and stopped_drugs.ingredient = old_drug.ingredient
            and old_drug.effect = 'review'
    inner join {{ ref('line_interchange_groups') }} as new_drug
        on
            old_drug.rule_set_id = new_drug.rule_set_id
            and old_drug.interchange_group = new_drug.interchange_group
            and starters.ingredient = new_drug.ingredient
),

reintroductions as (
    select distinct
        histories.history_id,
        phases.line_number
    from {{ ref('line_phases') }} as phases
    inner join histories
        on
            phases.study_id = histories.study_id
            and phases.rule_set_id = histories.rule_set_id
            and phases.patient_key = histories.patient_key
    where phases.phase = 'reintroduction'
),

flagged as (
    {%- for flag, relation, condition in [
        ('LATE_START_GT_90', 'span_flags', 'late_start'),
        ('LONG_GAP_WITHIN_LINE', 'span_flags', 'long_gap'),
        ('ISOLATED_EXPOSURE', 'span_flags', 'one_day'),
        ('ISOLATED_EXPOSURE', 'exposure_flags', 'not_confirmed'),
        ('ISOLATED_EXPOSURE', 'isolated_starters', none),
        ('SUBSTITUTION', 'exposure_flags', 'substitution'),
        ('AUGMENTED', 'exposure_flags', 'augmented'),
        ('INVESTIGATIONAL', 'exposure_flags', 'investigational'),
        ('CURATIVE_INTENT', 'exposure_flags', 'curative_intent'),
        ('UNKNOWN_DRUG', 'exposure_flags', 'unknown_drug'),
        ('REGIONAL_THERAPY', 'exposure_flags', 'regional'),
        ('DATA_ERROR', 'exposure_flags', 'after_death'),
        ('CONTINUED_FROM_PRE_INDEX', 'continued_from_before', none),
        ('MULTI_TARGETED_L1', 'multi_targeted', none),
        ('PD_NO_CHANGE', 'treated_through_progression', none),
        ('RECHALLENGE', 'rechallenges', none),
        ('TOXICITY_STOP', 'toxicity_stops', none),
        ('POSSIBLE_TOXICITY_SUBSTITUTION', 'possible_substitutions', none),
        ('REINTRODUCTION', 'reintroductions', none),
    ] %}
    select history_id, line_number, '{{ flag }}' as flag from {{ relation }}
    {%- if condition %} where {{ condition }}{% endif %}
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),

final as (
    select
        history_id,
        line_number,
        flag
    from flagged
)

select * from final
