-- A regimen has its canonical name (seed regimens) or, unnamed, its components; never "other".
-- After an exchange of interchangeable drugs the names before and after are joined by an arrow.
-- Modifiers such as leucovorin are never components.
-- A last line ends by death when the patient died within the gap that a line may have, goes on when
-- at most that gap lay between its coverage and the last contact, and was discontinued otherwise
-- (the usual definition of real-world time to discontinuation).
-- Confidence starts at 100 and loses what each flag deducts (seed line_flags); 80 and more is high,
-- 50 and more moderate. The points and grades are ours.

with components as (
    select
        *,
        joined_by = 'INTERCHANGEABLE' as is_exchanged
    from {{ ref('int_line_components') }}
    where is_component
),

targeted_additions as (
    select
        layout_id,
        line_number,
        {{ string_agg_ordered(
            "ingredient || ' ' || cast(days_from_line_start as string)", '; ', 'ingredient'
        ) }} as targeted_additions
    from components
    where
        is_targeted
        and days_from_line_start > 0
    group by layout_id, line_number
),

exchanges as (
    select *
    from components
    where is_exchanged
),

-- A line with exchanges has one name for its start and one for the day of each exchange.
naming_days as (
    select
        exchanges.layout_id,
        exchanges.line_number,
        line_starts.start_date as naming_date
    from exchanges
    inner join {{ ref('int_line_spans') }} as line_starts
        on
            exchanges.layout_id = line_starts.layout_id
            and exchanges.line_number = line_starts.line_number
    union
    select
        layout_id,
        line_number,
        first_date as naming_date
    from exchanges
),

-- Of drugs that stand for one another, only the one exchanged last belongs to a naming day.
named_components as (
    select
        naming_days.layout_id,
        naming_days.line_number,
        naming_days.naming_date,
        components.ingredient
    from naming_days
    inner join components
        on
            naming_days.layout_id = components.layout_id
            and naming_days.line_number = components.line_number
            and (
                not components.is_exchanged
                or naming_days.naming_date >= components.first_date
            )
    left join exchanges
        on
            components.layout_id = exchanges.layout_id
            and components.line_number = exchanges.line_number
            and components.line_drug = exchanges.line_drug
            and components.first_date < exchanges.first_date
            and naming_days.naming_date >= exchanges.first_date
    where exchanges.ingredient is null
),

named_days as (
    select
        layout_id,
        line_number,
        naming_date,
        {{ string_agg_sorted('ingredient', '+') }} as components
    from named_components
    group by layout_id, line_number, naming_date
),

exchange_names as (
    select
        named_days.layout_id,
        named_days.line_number,
        {{ string_agg_ordered(
            "coalesce(regimens.regimen, replace(named_days.components, '+', ' + '))",
            ' -> ',
            'named_days.naming_date'
        ) }} as regimen
    from named_days
    left join {{ ref('regimens') }} as regimens
        on named_days.components = regimens.components
    group by named_days.layout_id, named_days.line_number
),

flags as (
    select
        line_flags.history_id,
        line_flags.line_number,
        {{ string_agg_sorted('line_flags.flag', ';') }} as flags,
        100 - sum(meanings.deduction) as confidence_points,
        {{ string_agg_sorted(
            "case when meanings.deduction > 0"
            ~ " then line_flags.flag || ' -' || cast(meanings.deduction as string) end",
            '; '
        ) }} as confidence_deductions
    from {{ ref('int_line_flags') }} as line_flags
    inner join {{ ref('line_flags') }} as meanings
        on line_flags.flag = meanings.flag
    group by line_flags.history_id, line_flags.line_number
),

named_lines as (
    select
        spans.*,
        coalesce(
            exchange_names.regimen,
            regimens.regimen,
            replace(spans.regimen_components, '+', ' + ')
        ) as regimen,
        targeted_additions.targeted_additions
    from {{ ref('int_line_spans') }} as spans
    left join targeted_additions
        on
            spans.layout_id = targeted_additions.layout_id
            and spans.line_number = targeted_additions.line_number
    left join exchange_names
        on
            spans.layout_id = exchange_names.layout_id
            and spans.line_number = exchange_names.line_number
    left join {{ ref('regimens') }} as regimens
        on spans.regimen_components = regimens.components
),

ended_lines as (
    select
        named_lines.*,
        histories.history_id,
        histories.study_id,
        histories.rule_set_id,
        histories.patient_key,
        histories.earlier_courses,
        case
            when named_lines.next_line_start_date is not null then 'NEXT_LINE'
            when named_lines.days_observed_after > rule_sets.gap_days then 'DISCONTINUED'
            when histories.death_date is not null then 'DEATH'
            else 'ONGOING'
        end as end_reason
    from named_lines
    inner join {{ ref('int_line_layouts') }} as layouts
        on named_lines.layout_id = layouts.layout_id
    inner join {{ ref('int_line_histories') }} as histories
        on layouts.history_id = histories.history_id
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
),

final as (
    select
        ended_lines.study_id,
        ended_lines.rule_set_id,
        ended_lines.patient_key,
        ended_lines.line_number,
        ended_lines.regimen,
        ended_lines.regimen_components,
        ended_lines.drug_classes,
        ended_lines.targeted_additions,
        line_starts.start_reason,
        ended_lines.end_reason,
        ended_lines.end_reason = 'ONGOING' as is_ongoing,
        flags.flags,
        case
            when coalesce(flags.confidence_points, 100) >= 80 then 'high'
            when flags.confidence_points >= 50 then 'moderate'
            else 'low'
        end as confidence,
        flags.confidence_deductions,
        ended_lines.earlier_courses,
        ended_lines.n_cycles,
        ended_lines.start_date,
        ended_lines.end_date,
        ended_lines.coverage_end_date,
        ended_lines.next_line_start_date,
        ended_lines.start_day,
        ended_lines.end_day,
        ended_lines.src_rids
    from ended_lines
    inner join {{ ref('int_line_starts') }} as line_starts
        on
            ended_lines.history_id = line_starts.history_id
            and ended_lines.line_number = line_starts.line_number
    left join flags
        on
            ended_lines.history_id = flags.history_id
            and ended_lines.line_number = flags.line_number
)

select * from final
