-- A regimen has its canonical name (seed regimens) or, unnamed, its components; never "other". After
-- an exchange of interchangeable drugs the names before and after are joined by an arrow. Modifiers
-- such as leucovorin are never components. Confidence starts at 100 and loses what each flag deducts
-- (seed line_flags); 80 and more is high, 50 and more moderate. The points and grades are ours.

with spans as (
    select * from {{ ref('int_line_spans') }}
),

components as (
    select
        line_components.*,
        coalesce(interchange.interchange_group, line_components.ingredient) as line_drug
    from {{ ref('line_components') }} as line_components
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on line_components.rule_set_id = rule_sets.rule_set_id
    left join {{ ref('line_interchange_groups') }} as interchange
        on
            rule_sets.interchange_rule_set_id = interchange.rule_set_id
            and line_components.ingredient = interchange.ingredient
            and interchange.effect = 'same_line'
),

component_sets as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        {{ string_agg_sorted('ingredient', '+') }} as regimen_components,
        {{ string_agg_sorted('drug_class', '+') }} as drug_classes,
        count_if(joined_by = 'INTERCHANGEABLE') as n_exchanges
    from components
    group by study_id, rule_set_id, patient_key, line_number
),

-- A line with exchanges has one name for its start and one for the day of each exchange.
naming_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        start_date as naming_date
    from spans
    union
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        first_date as naming_date
    from components
    where joined_by = 'INTERCHANGEABLE'
),

-- Of the drugs that stand for one another, the one exchanged last counts on a naming day.
named_components as (
    select
        naming_days.*,
        components.ingredient
    from naming_days
    inner join component_sets
        on
            naming_days.study_id = component_sets.study_id
            and naming_days.rule_set_id = component_sets.rule_set_id
            and naming_days.patient_key = component_sets.patient_key
            and naming_days.line_number = component_sets.line_number
            and component_sets.n_exchanges > 0
    inner join components
        on
            naming_days.study_id = components.study_id
            and naming_days.rule_set_id = components.rule_set_id
            and naming_days.patient_key = components.patient_key
            and naming_days.line_number = components.line_number
            and (
                components.joined_by <> 'INTERCHANGEABLE'
                or naming_days.naming_date >= components.first_date
            )
    left join components as successors
        on
            components.study_id = successors.study_id
            and components.rule_set_id = successors.rule_set_id
            and components.patient_key = successors.patient_key
            and components.line_number = successors.line_number
            and components.line_drug = successors.line_drug
            and components.first_date < successors.first_date
            and successors.joined_by = 'INTERCHANGEABLE'
            and naming_days.naming_date >= successors.first_date
    where successors.ingredient is null
),

named_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        naming_date,
        {{ string_agg_sorted('ingredient', '+') }} as components
    from named_components
    group by study_id, rule_set_id, patient_key, line_number, naming_date
),

exchange_names as (
    select
        named_days.study_id,
        named_days.rule_set_id,
        named_days.patient_key,
        named_days.line_number,
        {{ string_agg_ordered(
            "coalesce(regimens.regimen, replace(named_days.components, '+', ' + '))",
            ' -> ',
            'named_days.naming_date'
        ) }} as regimen
    from named_days
    left join {{ ref('regimens') }} as regimens
        on named_days.components = regimens.components
    group by
        named_days.study_id,
        named_days.rule_set_id,
        named_days.patient_key,
        named_days.line_number
),

flags as (
    select
        line_flags.study_id,
        line_flags.rule_set_id,
        line_flags.patient_key,
        line_flags.line_number,
        {{ string_agg_sorted('line_flags.flag', ';') }} as flags,
        greatest(100 - sum(meanings.deduction), 0) as confidence_points,
        {{ string_agg_sorted(
            "case when meanings.deduction > 0"
            ~ " then line_flags.flag || ' -' || cast(meanings.deduction as string) end",
            '; '
        ) }} as confidence_deductions
    from {{ ref('int_line_flags') }} as line_flags
    inner join {{ ref('line_flags') }} as meanings
        on line_flags.flag = meanings.flag
    group by
        line_flags.study_id,
        line_flags.rule_set_id,
        line_flags.patient_key,
        line_flags.line_number
),

earlier_courses as (
    select
        study_id,
        rule_set_id,
        patient_key,
        max(earlier_courses) as earlier_courses
    from {{ ref('int_line_exposures') }}
    group by study_id, rule_set_id, patient_key
),

final as (
    select
        spans.study_id,
        spans.rule_set_id,
        spans.patient_key,
        spans.line_number,
        coalesce(
            exchange_names.regimen,
            regimens.regimen,
            replace(component_sets.regimen_components, '+', ' + ')
        ) as regimen,
        component_sets.regimen_components,
        component_sets.drug_classes,
        spans.start_reason,
        spans.end_reason,
        spans.end_reason = 'ONGOING' as is_ongoing,
        flags.flags,
        case
            when coalesce(flags.confidence_points, 100) >= 80 then 'high'
            when flags.confidence_points >= 50 then 'moderate'
            else 'low'
        end as confidence,
        flags.confidence_deductions,
        cast(earlier_courses.earlier_courses as int) as earlier_courses,
        spans.n_cycles,
        spans.start_date,
        spans.end_date,
        spans.coverage_end_date,
        spans.next_line_start_date,
        spans.start_day,
        spans.end_day,
        spans.src_rids
    from spans
    inner join component_sets
        on
            spans.study_id = component_sets.study_id
            and spans.rule_set_id = component_sets.rule_set_id
            and spans.patient_key = component_sets.patient_key
            and spans.line_number = component_sets.line_number
    left join exchange_names
        on
            spans.study_id = exchange_names.study_id
            and spans.rule_set_id = exchange_names.rule_set_id
            and spans.patient_key = exchange_names.patient_key
            and spans.line_number = exchange_names.line_number
    left join flags
        on
            spans.study_id = flags.study_id
            and spans.rule_set_id = flags.rule_set_id
            and spans.patient_key = flags.patient_key
            and spans.line_number = flags.line_number
    left join earlier_courses
        on
            spans.study_id = earlier_courses.study_id
            and spans.rule_set_id = earlier_courses.rule_set_id
            and spans.patient_key = earlier_courses.patient_key
    left join {{ ref('regimens') }} as regimens
        on component_sets.regimen_components = regimens.components
)

select * from final
