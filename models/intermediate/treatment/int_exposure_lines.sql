-- Every anticancer exposure of every patient with an index date: the line under way that day, whether
-- it counts, and the rule that placed it in the line or kept it out.

with exposures as (
    select
        histories.history_id,
        histories.rule_set_id,
        rule_sets.regimen_window_days,
        rule_sets.min_days_new_drug,
        exposures.ingredient,
        coalesce(interchange.interchange_group, exposures.ingredient) as line_drug,
        exposures.drug_class,
        exposures.role,
        exposures.modality,
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
            exposures.history_id = line_periods.history_id
            and exposures.start_date >= line_periods.start_date
            and exposures.start_date < line_periods.ends_before
),

first_given as (
    select
        *,
        min(start_date) over (
            partition by history_id, line_number, not_counted_because, line_drug, ingredient
        ) as ingredient_first_date,
        min(start_date) over (
            partition by history_id, line_number, not_counted_because, line_drug
            order by start_date
            rows between unbounded preceding and current row
        ) as line_drug_first_date,
        count(*) over (
            partition by history_id, line_number, not_counted_because, line_drug
            order by start_date
            rows between current row and unbounded following
        ) as days_given_from_here
    from dated
),

final as (
    select
        history_id,
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
            when start_date <= line_start_date + regimen_window_days then 'WITHIN_REGIMEN_WINDOW'
            when start_date > line_drug_first_date then 'INTERCHANGEABLE'
            when days_given_from_here < min_days_new_drug then 'NOT_CONFIRMED'
            when modality = 'cytotoxic' then 'SUPPLEMENTS_MONOTHERAPY'
            else 'ADDED_WITHIN_CLASS_LIMIT'
        end as placement,
        start_date,
        coverage_end_date,
        {{ days_between('line_start_date', 'start_date') }} as days_from_line_start,
        src_rids
    from first_given
)

select * from final
