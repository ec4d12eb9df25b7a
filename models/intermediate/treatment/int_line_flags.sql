-- What a reader of a line should know before trusting it. The flags, their meaning and what each
-- takes off the confidence are in seed line_flags.

{% set added_late = "'SUPPLEMENTS_MONOTHERAPY', 'REPLACES_NOT_TOLERATED', 'ADDED_WITHIN_CLASS_LIMIT'" %}

with layouts as (
    select
        line_layouts.layout_id,
        histories.study_id,
        histories.patient_key,
        rule_sets.*
    from {{ ref('int_line_layouts') }} as line_layouts
    inner join {{ ref('int_line_histories') }} as histories
        on
            line_layouts.history_id = histories.history_id
            and line_layouts.layout_id = histories.history_id
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
),

-- A drug given within the regimen window from the last day of a line may have been part of it.
spans as (
    select
        spans.*,
        spans.end_date + layouts.regimen_window_days as goes_on_until
    from {{ ref('int_line_spans') }} as spans
    inner join layouts
        on spans.layout_id = layouts.layout_id
),

components as (
    select * from {{ ref('int_line_components') }} where is_component
),

line_drugs as (
    select
        layout_id,
        line_number,
        line_drug,
        min(first_date) as first_date,
        max(last_date) as last_date
    from components
    group by layout_id, line_number, line_drug
),

span_flags as (
    select
        spans.layout_id,
        spans.line_number,
        spans.line_number = 1 and spans.start_day > layouts.late_start_days as late_start,
        spans.longest_gap_days > layouts.long_gap_days as long_gap,
        spans.n_treatment_days = 1 as one_day
    from spans
    inner join layouts
        on spans.layout_id = layouts.layout_id
),

drug_flags as (
    select
        layout_id,
        line_number,
        count_if(joined_by = 'INTERCHANGEABLE') > 0 as substitution,
        count_if(joined_by in ({{ added_late }})) > 0 as augmented,
        count_if(joined_by = 'NOT_CONFIRMED') > 0 as not_confirmed,
        count_if(modality = 'investigational') > 0 as investigational,
        count_if(has_curative_intent) > 0 as curative_intent
    from {{ ref('int_line_components') }}
    group by layout_id, line_number
),

kept_out_flags as (
    select
        exposures.layout_id,
        exposures.line_number,
        count_if(
            exposures.placement = 'DRUG_NOT_NAMED' and exposures.start_date <= spans.goes_on_until
        ) > 0 as unknown_drug,
        count_if(
            exposures.placement = 'REGIONAL_ROUTE' and exposures.start_date <= spans.goes_on_until
        ) > 0 as regional,
        count_if(exposures.placement = 'AFTER_DEATH') > 0 as after_death
    from {{ ref('int_exposure_lines') }} as exposures
    inner join spans
        on
            exposures.layout_id = spans.layout_id
            and exposures.line_number = spans.line_number
    where not exposures.is_counted
    group by exposures.layout_id, exposures.line_number
),

first_line_drugs as (
    select
        components.layout_id,
        components.line_number,
        components.line_drug,
        layouts.rule_set_id,
        spans.start_date - layouts.regimen_window_days as shortly_before
    from components
    inner join spans
        on
            components.layout_id = spans.layout_id
            and components.line_number = spans.line_number
    inner join layouts
        on components.layout_id = layouts.layout_id
    where
        components.line_number = 1
        and components.joined_by in ('STARTS_LINE', 'WITHIN_REGIMEN_WINDOW')
),

continued_from_before as (
    select distinct
        first_line_drugs.layout_id,
        first_line_drugs.line_number
    from first_line_drugs
    inner join {{ ref('int_rule_drugs') }} as drugs
        on
            first_line_drugs.rule_set_id = drugs.rule_set_id
            and first_line_drugs.line_drug = drugs.line_drug
    inner join {{ ref('int_exposure_lines') }} as exposures
        on
            first_line_drugs.layout_id = exposures.layout_id
            and drugs.ingredient = exposures.ingredient
            and first_line_drugs.shortly_before <= exposures.coverage_end_date
            and exposures.placement = 'BEFORE_FIRST_LINE'
),

multi_targeted as (
    select
        layout_id,
        line_number
    from components
    where
        line_number = 1
        and is_targeted
    group by layout_id, line_number
    having count(distinct drug_class) > 1
),

line_progressions as (
    select
        spans.layout_id,
        spans.line_number,
        progressions.progression_date,
        min(line_drugs.first_date) as changed_date
    from spans
    inner join layouts
        on spans.layout_id = layouts.layout_id
    inner join {{ ref('int_progressions') }} as progressions
        on
            layouts.patient_key = progressions.patient_key
            and spans.start_date < progressions.progression_date
            and spans.end_date > progressions.progression_date
    left join line_drugs
        on
            spans.layout_id = line_drugs.layout_id
            and spans.line_number = line_drugs.line_number
            and progressions.progression_date <= line_drugs.first_date
    group by spans.layout_id, spans.line_number, progressions.progression_date
),

treated_through_progression as (
    select
        line_progressions.layout_id,
        line_progressions.line_number
    from line_progressions
    inner join {{ ref('int_exposure_lines') }} as exposures
        on
            line_progressions.layout_id = exposures.layout_id
            and line_progressions.line_number = exposures.line_number
            and line_progressions.progression_date < exposures.start_date
            and coalesce(line_progressions.changed_date > exposures.start_date, true)
            and exposures.is_counted
    group by
        line_progressions.layout_id,
        line_progressions.line_number,
        line_progressions.progression_date
    having count(distinct exposures.start_date) >= 2
),

rechallenges as (
    select distinct
        layout_id,
        line_number
    from line_drugs
    qualify line_number - lag(line_number) over (
        partition by layout_id, line_drug
        order by line_number
    ) > 1
),

drugs_and_the_next_line as (
    select
        line_drugs.layout_id,
        line_drugs.line_number,
        line_drugs.line_drug,
        next_drugs.line_drug is not null as is_kept
    from line_drugs
    inner join spans as next_spans
        on
            line_drugs.layout_id = next_spans.layout_id
            and line_drugs.line_number + 1 = next_spans.line_number
    left join line_drugs as next_drugs
        on
            line_drugs.layout_id = next_drugs.layout_id
            and line_drugs.line_drug = next_drugs.line_drug
            and line_drugs.line_number + 1 = next_drugs.line_number
),

lines_with_a_kept_drug as (
    select
        layout_id,
        line_number
    from drugs_and_the_next_line
    group by layout_id, line_number
    having bool_or(is_kept)
),

-- Drugs left out of the next line while another was kept.
stopped_drugs as (
    select
        components.layout_id,
        components.line_number,
        components.ingredient,
        components.last_date
    from drugs_and_the_next_line
    inner join lines_with_a_kept_drug
        on
            drugs_and_the_next_line.layout_id = lines_with_a_kept_drug.layout_id
            and drugs_and_the_next_line.line_number = lines_with_a_kept_drug.line_number
    inner join components
        on
            drugs_and_the_next_line.layout_id = components.layout_id
            and drugs_and_the_next_line.line_number = components.line_number
            and drugs_and_the_next_line.line_drug = components.line_drug
    where not drugs_and_the_next_line.is_kept
),

toxicity_stops as (
    select distinct
        stopped_drugs.layout_id,
        stopped_drugs.line_number
    from stopped_drugs
    inner join layouts
        on stopped_drugs.layout_id = layouts.layout_id
    inner join {{ ref('int_severe_toxicities') }} as toxicities
        on
            layouts.patient_key = toxicities.patient_key
            and toxicities.onset_date
            between stopped_drugs.last_date - layouts.regimen_window_days
            and stopped_drugs.last_date + layouts.regimen_window_days
),

-- Lines begun by a drug that the line before did not have.
starters as (
    select
        components.layout_id,
        components.line_number,
        components.ingredient,
        components.line_drug
    from components
    inner join spans
        on
            components.layout_id = spans.layout_id
            and components.line_number = spans.line_number
            and components.first_date = spans.start_date
    inner join {{ ref('int_line_starts') }} as line_starts
        on
            spans.layout_id = line_starts.history_id
            and spans.line_number = line_starts.line_number
    left join line_drugs as earlier
        on
            components.layout_id = earlier.layout_id
            and components.line_number = earlier.line_number + 1
            and components.line_drug = earlier.line_drug
    where
        components.line_number > 1
        and line_starts.begun_by_drug
        and earlier.line_drug is null
),

new_drugs as (
    select layout_id, line_number, line_drug from starters
    union
    select layout_id, line_number, line_drug from components
    where joined_by in ({{ added_late }})
),

isolated_drugs as (
    select distinct
        new_drugs.layout_id,
        new_drugs.line_number
    from new_drugs
    inner join line_drugs
        on
            new_drugs.layout_id = line_drugs.layout_id
            and new_drugs.line_number = line_drugs.line_number
            and new_drugs.line_drug = line_drugs.line_drug
            and line_drugs.first_date = line_drugs.last_date
),

-- Which drugs to review is the one thing here in which the histories of a layout may differ.
possible_substitutions as (
    select distinct
        histories.history_id,
        starters.line_number
    from starters
    inner join stopped_drugs
        on
            starters.layout_id = stopped_drugs.layout_id
            and starters.line_number = stopped_drugs.line_number + 1
    inner join {{ ref('int_line_layouts') }} as line_layouts
        on starters.layout_id = line_layouts.layout_id
    inner join {{ ref('int_line_histories') }} as histories
        on line_layouts.history_id = histories.history_id
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
    inner join {{ ref('line_interchange_groups') }} as old_drug
        on
            rule_sets.interchange_rule_set_id = old_drug.rule_set_id
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
        layouts.layout_id,
        phases.line_number
    from {{ ref('line_phases') }} as phases
    inner join layouts
        on
            phases.study_id = layouts.study_id
            and phases.rule_set_id = layouts.rule_set_id
            and phases.patient_key = layouts.patient_key
    where phases.phase = 'reintroduction'
),

flagged as (
    {%- for flag, relation, condition in [
        ('LATE_START_GT_90', 'span_flags', 'late_start'),
        ('LONG_GAP_WITHIN_LINE', 'span_flags', 'long_gap'),
        ('ISOLATED_EXPOSURE', 'span_flags', 'one_day'),
        ('ISOLATED_EXPOSURE', 'drug_flags', 'not_confirmed'),
        ('ISOLATED_EXPOSURE', 'isolated_drugs', none),
        ('SUBSTITUTION', 'drug_flags', 'substitution'),
        ('AUGMENTED', 'drug_flags', 'augmented'),
        ('INVESTIGATIONAL', 'drug_flags', 'investigational'),
        ('CURATIVE_INTENT', 'drug_flags', 'curative_intent'),
        ('UNKNOWN_DRUG', 'kept_out_flags', 'unknown_drug'),
        ('REGIONAL_THERAPY', 'kept_out_flags', 'regional'),
        ('DATA_ERROR', 'kept_out_flags', 'after_death'),
        ('CONTINUED_FROM_PRE_INDEX', 'continued_from_before', none),
        ('MULTI_TARGETED_L1', 'multi_targeted', none),
        ('PD_NO_CHANGE', 'treated_through_progression', none),
        ('RECHALLENGE', 'rechallenges', none),
        ('TOXICITY_STOP', 'toxicity_stops', none),
        ('REINTRODUCTION', 'reintroductions', none),
    ] %}
    select layout_id, line_number, '{{ flag }}' as flag from {{ relation }}
    {%- if condition %} where {{ condition }}{% endif %}
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),

final as (
    select
        line_layouts.history_id,
        flagged.line_number,
        flagged.flag
    from flagged
    inner join {{ ref('int_line_layouts') }} as line_layouts
        on flagged.layout_id = line_layouts.layout_id
    union all
    select
        history_id,
        line_number,
        'POSSIBLE_TOXICITY_SUBSTITUTION' as flag
    from possible_substitutions
)

select * from final
