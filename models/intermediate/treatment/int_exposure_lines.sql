-- Every anticancer exposure of every patient with an index date, under every layout of the
-- patient's lines: the line under way that day, whether it counts, and the rule that placed it in
-- the line or kept it out.

with layouts as (
    select
        layouts.layout_id,
        histories.patient_key,
        histories.data_cutoff,
        histories.death_date,
        histories.counts_from,
        histories.counts_until,
        histories.regional_counts,
        rule_sets.rule_set_id,
        rule_sets.regimen_window_days,
        rule_sets.min_days_new_drug,
        rule_sets.monotherapy_add_days
    from {{ ref('int_line_layouts') }} as layouts
    inner join {{ ref('int_line_histories') }} as histories
        on
            layouts.history_id = histories.history_id
            and layouts.layout_id = histories.history_id
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
),

exposures as (
    select
        layouts.layout_id,
        exposures.ingredient,
        exposures.is_systemic,
        exposures.intent,
        case
            when exposures.start_date > layouts.data_cutoff then 'AFTER_DATA_CUTOFF'
            when exposures.start_date > layouts.death_date then 'AFTER_DEATH'
            when not exposures.is_named_anticancer then 'DRUG_NOT_NAMED'
            when not (exposures.is_systemic or layouts.regional_counts) then 'REGIONAL_ROUTE'
            when exposures.start_date < layouts.counts_from then 'BEFORE_FIRST_LINE'
        end as not_counted_because,
        exposures.start_date,
        least(exposures.coverage_end_date, layouts.counts_until) as coverage_end_date,
        exposures.src_rids
    from {{ ref('int_drug_exposures') }} as exposures
    inner join layouts
        on exposures.patient_key = layouts.patient_key
    where exposures.is_anticancer
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
        min(start_date) as first_date
    from dated
    where not_counted_because is null
    group by layout_id, line_number, ingredient
),

ruled_ingredients as (
    select
        line_ingredients.*,
        layouts.regimen_window_days,
        layouts.min_days_new_drug,
        layouts.monotherapy_add_days,
        drugs.modality,
        drugs.line_drug_number,
        case when drugs.is_other_class then line_ingredients.first_date end as other_class_date
    from line_ingredients
    inner join layouts
        on line_ingredients.layout_id = layouts.layout_id
    -- An outer join, though every such drug has its row: see int_possible_lines.
    left join {{ ref('int_rule_drugs') }} as drugs
        on
            layouts.rule_set_id = drugs.rule_set_id
            and line_ingredients.ingredient = drugs.ingredient
),

-- Only where a new drug must be given on more than one day: the days of it in a line, and in this
-- and all later lines.
drug_days as (
    select
        dated.layout_id,
        dated.line_number,
        drugs.line_drug_number,
        count(distinct dated.start_date) as days_given
    from dated
    inner join layouts
        on dated.layout_id = layouts.layout_id and layouts.min_days_new_drug > 1
    inner join {{ ref('int_rule_drugs') }} as drugs
        on
            layouts.rule_set_id = drugs.rule_set_id
            and dated.ingredient = drugs.ingredient
    where dated.not_counted_because is null
    group by dated.layout_id, dated.line_number, drugs.line_drug_number
),

confirming_days as (
    select
        layout_id,
        line_number,
        line_drug_number,
        sum(days_given) over (
            partition by layout_id, line_drug_number
            order by line_number
            rows between current row and unbounded following
        ) as days_from_then_on
    from drug_days
),

first_given as (
    select
        *,
        min(first_date) over (partition by layout_id, line_number, line_drug_number)
            as line_drug_first_date,
        min(other_class_date) over (partition by layout_id, line_number)
            as line_other_class_date
    from ruled_ingredients
),

final as (
    select
        dated.layout_id,
        dated.line_number,
        dated.ingredient,
        dated.is_systemic,
        dated.intent,
        dated.not_counted_because is null as is_counted,
        case
            when dated.not_counted_because is not null then dated.not_counted_because
            when dated.start_date = dated.line_start_date then 'STARTS_LINE'
            when dated.start_date > first_given.first_date then 'GIVEN_BEFORE_IN_LINE'
            when dated.start_date <= dated.line_start_date + first_given.regimen_window_days
                then 'WITHIN_REGIMEN_WINDOW'
            when
                confirming_days.days_from_then_on < first_given.min_days_new_drug
                and first_given.line_drug_first_date
                > dated.line_start_date + first_given.regimen_window_days
                then 'NOT_CONFIRMED'
            when dated.start_date > first_given.line_drug_first_date then 'INTERCHANGEABLE'
            when
                first_given.modality = 'cytotoxic'
                and dated.start_date <= dated.line_start_date + first_given.monotherapy_add_days
                and coalesce(first_given.line_other_class_date >= dated.start_date, true)
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
    left join confirming_days
        on
            first_given.layout_id = confirming_days.layout_id
            and first_given.line_number = confirming_days.line_number
            and first_given.line_drug_number = confirming_days.line_drug_number
)

select * from final
