-- Every anticancer exposure of every patient with an index date, under every layout of the
-- patient's lines: the line under way that day, whether it counts, and the rule that placed it in
-- the line or kept it out.

with exposures as (
    select
        histories.history_id as layout_id,
        rule_sets.regimen_window_days,
        rule_sets.min_days_new_drug,
        rule_sets.monotherapy_class,
        rule_sets.monotherapy_add_days,
        exposures.ingredient,
        coalesce(interchange.interchange_group, exposures.ingredient) as line_drug,
        exposures.is_systemic,
        exposures.intent,
        case
            when exposures.start_date > histories.data_cutoff then 'AFTER_DATA_CUTOFF'
            when exposures.start_date > histories.death_date then 'AFTER_DEATH'
            when exposures.role = 'unknown_antineoplastic' then 'DRUG_NOT_NAMED'
            when not (exposures.is_systemic or histories.regional_counts) then 'REGIONAL_ROUTE'
            when exposures.start_date < histories.counts_from then 'BEFORE_FIRST_LINE'
        end as not_counted_because,
        exposures.start_date,
        least(exposures.coverage_end_date, histories.counts_until) as coverage_end_date,
        exposures.src_rids
    from {{ ref('int_drug_exposures') }} as exposures
    inner join {{ ref('int_line_histories') }} as histories
        on exposures.patient_key = histories.patient_key
    inner join {{ ref('int_line_layouts') }} as layouts
        on
            histories.history_id = layouts.history_id
            and histories.history_id = layouts.layout_id
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
    left join {{ ref('line_interchange_groups') }} as interchange
        on
            rule_sets.interchange_rule_set_id = interchange.rule_set_id
            and exposures.ingredient = interchange.ingredient
            and interchange.effect = 'same_line'
    where exposures.role in ('antineoplastic', 'investigational', 'unknown_antineoplastic')
),

line_periods as (
    select
        *,
        coalesce(next_line_start_date, cast('9999-12-31' as date)) as ends_before
    from {{ ref('int_line_starts') }}
),

dated as (
    select
        exposures.*,
        line_periods.line_number,
        line_periods.start_date as line_start_date
    from exposures
    left join line_periods
        on
            exposures.layout_id = line_periods.history_id
            and exposures.start_date >= line_periods.start_date
            and exposures.start_date < line_periods.ends_before
),

line_ingredients as (
    select
        layout_id,
        line_number,
        ingredient,
        min(line_drug) as line_drug,
        min(monotherapy_class) as monotherapy_class,
        min(start_date) as first_date,
        count(*) as n_exposures
    from dated
    where not_counted_because is null
    group by layout_id, line_number, ingredient
),

first_given as (
    select
        line_ingredients.layout_id,
        line_ingredients.line_number,
        line_ingredients.ingredient,
        ingredients.modality,
        line_ingredients.first_date,
        min(line_ingredients.first_date) over (
            partition by
                line_ingredients.layout_id,
                line_ingredients.line_number,
                line_ingredients.line_drug
        ) as line_drug_first_date,
        sum(line_ingredients.n_exposures) over (
            partition by
                line_ingredients.layout_id,
                line_ingredients.line_number,
                line_ingredients.line_drug
        ) as line_drug_exposures,
        min(
            case
                when ingredients.drug_class <> line_ingredients.monotherapy_class
                    then line_ingredients.first_date
            end
        ) over (
            partition by line_ingredients.layout_id, line_ingredients.line_number
        ) as other_class_date
    from line_ingredients
    inner join {{ ref('ingredients') }} as ingredients
        on line_ingredients.ingredient = ingredients.ingredient
),

final as (
    select
        dated.layout_id,
        dated.line_number,
        dated.ingredient,
        dated.line_drug,
        dated.is_systemic,
        dated.intent,
        dated.not_counted_because is null as is_counted,
        case
            when dated.not_counted_because is not null then dated.not_counted_because
            when dated.start_date = dated.line_start_date then 'STARTS_LINE'
            when dated.start_date > first_given.first_date then 'GIVEN_BEFORE_IN_LINE'
            when dated.start_date <= dated.line_start_date + dated.regimen_window_days
                then 'WITHIN_REGIMEN_WINDOW'
            when dated.start_date > first_given.line_drug_first_date then 'INTERCHANGEABLE'
            when first_given.line_drug_exposures < dated.min_days_new_drug then 'NOT_CONFIRMED'
            when
                first_given.modality = 'cytotoxic'
                and dated.start_date <= dated.line_start_date + dated.monotherapy_add_days
                and coalesce(first_given.other_class_date >= dated.start_date, true)
                then 'SUPPLEMENTS_MONOTHERAPY'
            when first_given.modality = 'cytotoxic' then 'REPLACES_NOT_TOLERATED'
            else 'ADDED_WITHIN_CLASS_LIMIT'
        end as placement,
        dated.start_date,
        dated.coverage_end_date,
        {{ days_between('dated.line_start_date', 'dated.start_date') }} as days_from_line_start,
        dated.src_rids
    from dated
    left join first_given
        on
            dated.layout_id = first_given.layout_id
            and dated.line_number = first_given.line_number
            and dated.ingredient = first_given.ingredient
)

select * from final
