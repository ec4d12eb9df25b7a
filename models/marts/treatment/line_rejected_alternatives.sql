-- What could have begun a line and the rule that kept it in the line under way: each first exposure
-- to a drug in a line, each resumption after a long pause, each first treatment day after a
-- progression on which no drug was new.

with placed as (
    select
        layout_id,
        line_number,
        ingredient as drugs,
        placement as kept_by,
        case placement
            when 'WITHIN_REGIMEN_WINDOW' then 'begun within the regimen window'
            when 'INTERCHANGEABLE' then 'interchangeable with a drug of the line'
            when 'SUPPLEMENTS_MONOTHERAPY' then 'supplements a line of one class in time'
            when 'REPLACES_NOT_TOLERATED' then 'takes the place of a drug not tolerated'
            when 'ADDED_WITHIN_CLASS_LIMIT'
                then 'added to a continuing line within the limit of its class'
            when 'NOT_CONFIRMED' then 'given on too few days to count as new'
            when 'REGIONAL_ROUTE' then 'given regionally'
            when 'DRUG_NOT_NAMED' then 'the record does not name the drug'
        end as explanation,
        start_date as exposure_date,
        src_rids
    from {{ ref('int_exposure_lines') }}
    where line_number is not null
),

pauses as (
    select
        line_days.layout_id,
        line_days.line_number,
        line_days.start_date,
        'PAUSE_WITHIN_LIMIT' as kept_by,
        'resumed after '
        || cast(
            {{ days_between('line_days.covered_before', 'line_days.start_date') }} as string
        )
        || ' days without coverage' as explanation
    from {{ ref('int_line_days') }} as line_days
    inner join {{ ref('int_line_histories') }} as histories
        on line_days.layout_id = histories.history_id
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
    where
        {{ days_between('line_days.covered_before', 'line_days.start_date') }}
        > rule_sets.long_gap_days
),

changes as (
    select distinct
        layout_id,
        line_number,
        min(first_date) over (partition by layout_id, line_number, line_drug) as start_date
    from {{ ref('int_line_components') }}
),

after_progressions as (
    select
        line_days.layout_id,
        line_days.line_number,
        line_days.start_date,
        'PROGRESSION_WITHOUT_CHANGE' as kept_by,
        'treatment unchanged '
        || cast(
            {{ days_between('max(progressions.progression_date)', 'line_days.start_date') }}
            as string
        )
        || ' days after a progression' as explanation
    from {{ ref('int_line_days') }} as line_days
    inner join {{ ref('int_line_histories') }} as histories
        on line_days.layout_id = histories.history_id
    inner join {{ ref('int_progressions') }} as progressions
        on
            histories.patient_key = progressions.patient_key
            and line_days.previous_date < progressions.progression_date
            and line_days.start_date >= progressions.progression_date
    left join changes
        on
            line_days.layout_id = changes.layout_id
            and line_days.line_number = changes.line_number
            and line_days.start_date = changes.start_date
    where changes.start_date is null
    group by line_days.layout_id, line_days.line_number, line_days.start_date
),

days_kept as (
    select * from pauses
    union all
    select * from after_progressions
),

days_with_drugs as (
    select
        days_kept.layout_id,
        days_kept.line_number,
        {{ string_agg_sorted('exposures.ingredient', '+') }} as drugs,
        days_kept.kept_by,
        days_kept.explanation,
        days_kept.start_date as exposure_date,
        {{ merged_src_rids('exposures.src_rids') }} as src_rids
    from days_kept
    inner join {{ ref('int_exposure_lines') }} as exposures
        on
            days_kept.layout_id = exposures.layout_id
            and days_kept.start_date = exposures.start_date
            and exposures.is_counted
    group by
        days_kept.layout_id,
        days_kept.line_number,
        days_kept.kept_by,
        days_kept.explanation,
        days_kept.start_date
),

kept as (
    select * from placed
    where explanation is not null
    union all
    select * from days_with_drugs
),

final as (
    select
        histories.study_id,
        histories.rule_set_id,
        histories.patient_key,
        kept.line_number,
        kept.drugs,
        kept.kept_by,
        kept.explanation,
        kept.exposure_date,
        {{ days_between('spans.start_date', 'kept.exposure_date') }} as days_from_line_start,
        kept.src_rids
    from kept
    inner join {{ ref('int_line_spans') }} as spans
        on
            kept.layout_id = spans.layout_id
            and kept.line_number = spans.line_number
    inner join {{ ref('int_line_layouts') }} as layouts
        on kept.layout_id = layouts.layout_id
    inner join {{ ref('int_line_histories') }} as histories
        on layouts.history_id = histories.history_id
)

select * from final
