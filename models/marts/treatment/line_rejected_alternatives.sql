-- What could have begun a line and the rule that kept it in the line under way: each first exposure to
-- a drug in a line, each resumption after a long pause, each first treatment day after a progression.

with placed as (
    select *
    from {{ ref('int_exposure_lines') }}
    where
        line_number is not null
        and placement in (
            'WITHIN_REGIMEN_WINDOW',
            'INTERCHANGEABLE',
            'SUPPLEMENTS_MONOTHERAPY',
            'ADDED_WITHIN_CLASS_LIMIT',
            'NOT_CONFIRMED',
            'REGIONAL_ROUTE',
            'DRUG_NOT_NAMED'
        )
),

counted_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        start_date,
        max(days_from_line_start) as days_from_line_start,
        max(coverage_end_date) as coverage_end_date,
        {{ string_agg_sorted('ingredient', '+') }} as drugs,
        {{ merged_src_rids('src_rids') }} as src_rids
    from {{ ref('int_exposure_lines') }}
    where is_counted
    group by study_id, rule_set_id, patient_key, line_number, start_date
),

spaced_days as (
    select
        *,
        lag(start_date) over (
            partition by study_id, rule_set_id, patient_key, line_number
            order by start_date
        ) as previous_date,
        max(coverage_end_date) over (
            partition by study_id, rule_set_id, patient_key, line_number
            order by start_date
            rows between unbounded preceding and 1 preceding
        ) as covered_before
    from counted_days
),

pauses as (
    select
        spaced_days.*,
        {{ days_between('spaced_days.covered_before', 'spaced_days.start_date') }} as days_off
    from spaced_days
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on spaced_days.rule_set_id = rule_sets.rule_set_id
    where
        {{ days_between('spaced_days.covered_before', 'spaced_days.start_date') }}
        > rule_sets.long_gap_days
),

after_progressions as (
    select
        spaced_days.study_id,
        spaced_days.rule_set_id,
        spaced_days.patient_key,
        spaced_days.line_number,
        spaced_days.start_date,
        spaced_days.days_from_line_start,
        spaced_days.drugs,
        max(progressions.progression_date) as progression_date,
        max(spaced_days.src_rids) as src_rids
    from spaced_days
    inner join {{ ref('int_progressions') }} as progressions
        on
            spaced_days.patient_key = progressions.patient_key
            and spaced_days.previous_date < progressions.progression_date
            and spaced_days.start_date >= progressions.progression_date
    group by
        spaced_days.study_id,
        spaced_days.rule_set_id,
        spaced_days.patient_key,
        spaced_days.line_number,
        spaced_days.start_date,
        spaced_days.days_from_line_start,
        spaced_days.drugs
),

final as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        ingredient as drugs,
        placement as kept_by,
        case placement
            when 'WITHIN_REGIMEN_WINDOW' then 'begun within the regimen window'
            when 'INTERCHANGEABLE' then 'interchangeable with a drug of the line'
            when 'SUPPLEMENTS_MONOTHERAPY' then 'supplements a line of one class in time'
            when 'ADDED_WITHIN_CLASS_LIMIT' then 'added to a continuing line within the limit of its class'
            when 'NOT_CONFIRMED' then 'given on too few days to count as new'
            when 'REGIONAL_ROUTE' then 'given regionally'
            when 'DRUG_NOT_NAMED' then 'the record does not name the drug'
        end as explanation,
        start_date as exposure_date,
        days_from_line_start,
        src_rids
    from placed
    union all
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        drugs,
        'PAUSE_WITHIN_LIMIT' as kept_by,
        'resumed after ' || cast(days_off as string) || ' days without coverage' as explanation,
        start_date as exposure_date,
        days_from_line_start,
        src_rids
    from pauses
    union all
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        drugs,
        'PROGRESSION_WITHOUT_CHANGE' as kept_by,
        'treatment unchanged ' || cast({{ days_between('progression_date', 'start_date') }} as string)
        || ' days after a progression' as explanation,
        start_date as exposure_date,
        days_from_line_start,
        src_rids
    from after_progressions
)

select * from final
