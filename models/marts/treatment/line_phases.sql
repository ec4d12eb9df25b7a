-- Phases of a line: induction; maintenance from the first day on which a drug has been dropped while
-- another goes on; reintroduction when a dropped drug comes back. A drug is dropped when it is absent
-- for longer than phase_gap_days (seed line_rule_sets) and other drugs of the line are given on at
-- least two days meanwhile; a pause of all drugs changes nothing, and neither does an exchange. Dropping
-- drugs does not advance a line (Merck Line-of-Therapy-Algorithm, combo_dropped_line_advance = FALSE).

with drug_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        line_drug,
        start_date,
        max(coverage_end_date) as coverage_end_date
    from {{ ref('int_exposure_lines') }}
    where
        is_counted
        and placement <> 'NOT_CONFIRMED'
    group by study_id, rule_set_id, patient_key, line_number, line_drug, start_date
),

numbered_days as (
    select
        *,
        dense_rank() over (
            partition by study_id, rule_set_id, patient_key, line_number
            order by start_date
        ) as day_number
    from drug_days
),

absences as (
    select
        *,
        day_number - lag(day_number) over (
            partition by study_id, rule_set_id, patient_key, line_number, line_drug
            order by start_date
        ) - 1 as days_missed,
        max(coverage_end_date) over (
            partition by study_id, rule_set_id, patient_key, line_number, line_drug
            order by start_date
            rows between unbounded preceding and 1 preceding
        ) as covered_before
    from numbered_days
),

episode_days as (
    select
        absences.*,
        rule_sets.phase_gap_days,
        rule_sets.regimen_window_days,
        count_if(
            absences.covered_before is null
            or (
                absences.days_missed >= 2
                and {{ days_between('absences.covered_before', 'absences.start_date') }}
                > rule_sets.phase_gap_days
            )
        ) over (
            partition by
                absences.study_id,
                absences.rule_set_id,
                absences.patient_key,
                absences.line_number,
                absences.line_drug
            order by absences.start_date
            rows between unbounded preceding and current row
        ) as episode
    from absences
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on absences.rule_set_id = rule_sets.rule_set_id
),

episodes as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        line_drug,
        episode,
        max(episode) over (
            partition by study_id, rule_set_id, patient_key, line_number, line_drug
        ) as last_episode,
        max(phase_gap_days) as phase_gap_days,
        max(regimen_window_days) as regimen_window_days,
        min(start_date) as first_date,
        max(coverage_end_date) as last_date
    from episode_days
    group by study_id, rule_set_id, patient_key, line_number, line_drug, episode
),

drops as (
    select
        episodes.study_id,
        episodes.rule_set_id,
        episodes.patient_key,
        episodes.line_number,
        min(episode_days.start_date) as start_date,
        max(episodes.regimen_window_days) as regimen_window_days
    from episodes
    inner join episode_days
        on
            episodes.study_id = episode_days.study_id
            and episodes.rule_set_id = episode_days.rule_set_id
            and episodes.patient_key = episode_days.patient_key
            and episodes.line_number = episode_days.line_number
            and episodes.last_date < episode_days.start_date
    group by
        episodes.study_id,
        episodes.rule_set_id,
        episodes.patient_key,
        episodes.line_number,
        episodes.line_drug,
        episodes.episode,
        episodes.last_episode,
        episodes.last_date
    having
        episodes.episode < episodes.last_episode
        or (
            count(distinct episode_days.start_date) >= 2
            and {{ days_between('episodes.last_date', 'max(episode_days.coverage_end_date)') }}
            > max(episodes.phase_gap_days)
        )
),

additions as (
    select
        episodes.*
    from episodes
    inner join {{ ref('int_line_spans') }} as spans
        on
            episodes.study_id = spans.study_id
            and episodes.rule_set_id = spans.rule_set_id
            and episodes.patient_key = spans.patient_key
            and episodes.line_number = spans.line_number
            and episodes.first_date > spans.start_date
),

deescalations as (
    select distinct
        drops.study_id,
        drops.rule_set_id,
        drops.patient_key,
        drops.line_number,
        'maintenance' as phase,
        drops.start_date
    from drops
    left join additions
        on
            drops.study_id = additions.study_id
            and drops.rule_set_id = additions.rule_set_id
            and drops.patient_key = additions.patient_key
            and drops.line_number = additions.line_number
            and additions.first_date
            between drops.start_date and drops.start_date + drops.regimen_window_days
    where additions.first_date is null
),

reintroductions as (
    select distinct
        additions.study_id,
        additions.rule_set_id,
        additions.patient_key,
        additions.line_number,
        'reintroduction' as phase,
        additions.first_date as start_date
    from additions
    left join drops
        on
            additions.study_id = drops.study_id
            and additions.rule_set_id = drops.rule_set_id
            and additions.patient_key = drops.patient_key
            and additions.line_number = drops.line_number
            and additions.first_date
            between drops.start_date and drops.start_date + drops.regimen_window_days
    where
        additions.episode > 1
        and drops.start_date is null
),

changes as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        'induction' as phase,
        start_date
    from {{ ref('int_line_spans') }}
    union all
    select * from deescalations
    union all
    select * from reintroductions
),

phase_starts as (
    select *
    from changes
    qualify phase is distinct from lag(phase) over (
        partition by study_id, rule_set_id, patient_key, line_number
        order by start_date
    )
),

phases as (
    select
        phase_starts.*,
        row_number() over (
            partition by
                phase_starts.study_id,
                phase_starts.rule_set_id,
                phase_starts.patient_key,
                phase_starts.line_number
            order by phase_starts.start_date
        ) as phase_number,
        coalesce(
            lead(phase_starts.start_date) over (
                partition by
                    phase_starts.study_id,
                    phase_starts.rule_set_id,
                    phase_starts.patient_key,
                    phase_starts.line_number
                order by phase_starts.start_date
            ) - 1,
            spans.end_date
        ) as end_date,
        spans.start_date as line_start_date,
        spans.start_day as line_start_day
    from phase_starts
    inner join {{ ref('int_line_spans') }} as spans
        on
            phase_starts.study_id = spans.study_id
            and phase_starts.rule_set_id = spans.rule_set_id
            and phase_starts.patient_key = spans.patient_key
            and phase_starts.line_number = spans.line_number
),

final as (
    select
        phases.study_id,
        phases.rule_set_id,
        phases.patient_key,
        phases.line_number,
        cast(phases.phase_number as int) as phase_number,
        phases.phase,
        {{ string_agg_sorted('exposures.ingredient', '+') }} as drugs,
        phases.start_date,
        phases.end_date,
        phases.line_start_day
        + {{ days_between('phases.line_start_date', 'phases.start_date') }} as start_day,
        phases.line_start_day
        + {{ days_between('phases.line_start_date', 'phases.end_date') }} as end_day,
        {{ merged_src_rids('exposures.src_rids') }} as src_rids
    from phases
    inner join {{ ref('int_exposure_lines') }} as exposures
        on
            phases.study_id = exposures.study_id
            and phases.rule_set_id = exposures.rule_set_id
            and phases.patient_key = exposures.patient_key
            and phases.line_number = exposures.line_number
            and exposures.start_date between phases.start_date and phases.end_date
            and exposures.is_counted
    group by
        phases.study_id,
        phases.rule_set_id,
        phases.patient_key,
        phases.line_number,
        phases.phase_number,
        phases.phase,
        phases.start_date,
        phases.end_date,
        phases.line_start_date,
        phases.line_start_day
)

select * from final
