-- Phases of a line: induction; maintenance from the first day on which a drug has been dropped
-- while another goes on; reintroduction when a dropped drug comes back. A drug is dropped when it
-- is absent for longer than phase_gap_days (seed line_rule_sets) and other drugs of the line are
-- given on at least two days meanwhile; a pause of all drugs changes nothing, and neither does an
-- exchange, or a switch: one drug dropped, another begun or taken up again within the regimen window.
-- Dropping drugs does not advance a line (Merck Line-of-Therapy-Algorithm,
-- combo_dropped_line_advance = FALSE).

with limits as (
    select
        histories.history_id as layout_id,
        rule_sets.phase_gap_days,
        rule_sets.regimen_window_days
    from {{ ref('int_line_histories') }} as histories
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
),

-- Only a line with a drug that missed two of its treatment days can have more than one phase.
lines_with_absences as (
    select
        components.layout_id,
        components.line_number
    from {{ ref('int_line_components') }} as components
    inner join {{ ref('int_line_spans') }} as spans
        on
            components.layout_id = spans.layout_id
            and components.line_number = spans.line_number
    where spans.n_treatment_days - components.n_systemic_days >= 2
    group by components.layout_id, components.line_number
),

their_drugs as (
    select
        components.layout_id,
        components.line_number,
        components.ingredient,
        components.line_drug,
        components.is_component
    from {{ ref('int_line_components') }} as components
    inner join lines_with_absences
        on
            components.layout_id = lines_with_absences.layout_id
            and components.line_number = lines_with_absences.line_number
),

their_exposures as (
    select
        exposures.layout_id,
        exposures.line_number,
        exposures.ingredient,
        their_drugs.line_drug,
        their_drugs.is_component,
        exposures.start_date,
        exposures.coverage_end_date,
        exposures.src_rids
    from {{ ref('int_exposure_lines') }} as exposures
    inner join their_drugs
        on
            exposures.layout_id = their_drugs.layout_id
            and exposures.line_number = their_drugs.line_number
            and exposures.ingredient = their_drugs.ingredient
    where exposures.is_counted
),

drug_days as (
    select
        layout_id,
        line_number,
        line_drug,
        start_date,
        max(coverage_end_date) as coverage_end_date
    from their_exposures
    where is_component
    group by layout_id, line_number, line_drug, start_date
),

covered_days as (
    select
        *,
        max(coverage_end_date) over (
            partition by layout_id, line_number, line_drug
            order by start_date
            rows between unbounded preceding and 1 preceding
        ) as covered_before
    from drug_days
),

returns as (
    select
        covered_days.layout_id,
        covered_days.line_number,
        covered_days.line_drug,
        covered_days.start_date
    from covered_days
    inner join limits
        on
            covered_days.layout_id = limits.layout_id
            and {{ days_between('covered_days.covered_before', 'covered_days.start_date') }}
            > limits.phase_gap_days
    inner join drug_days as others
        on
            covered_days.layout_id = others.layout_id
            and covered_days.line_number = others.line_number
            and covered_days.covered_before < others.start_date
            and covered_days.start_date > others.start_date
    group by
        covered_days.layout_id,
        covered_days.line_number,
        covered_days.line_drug,
        covered_days.start_date
    having count(distinct others.start_date) >= 2
),

-- An episode of a drug lasts until it is dropped.
episode_days as (
    select
        covered_days.*,
        count_if(covered_days.covered_before is null or returns.start_date is not null) over (
            partition by
                covered_days.layout_id, covered_days.line_number, covered_days.line_drug
            order by covered_days.start_date
            rows between unbounded preceding and current row
        ) as episode
    from covered_days
    left join returns
        on
            covered_days.layout_id = returns.layout_id
            and covered_days.line_number = returns.line_number
            and covered_days.line_drug = returns.line_drug
            and covered_days.start_date = returns.start_date
),

episodes as (
    select
        layout_id,
        line_number,
        line_drug,
        episode,
        max(episode) over (partition by layout_id, line_number, line_drug) as last_episode,
        min(start_date) as first_date,
        max(coverage_end_date) as last_date
    from episode_days
    group by layout_id, line_number, line_drug, episode
),

-- The last absence counts like the others: long enough, and with two days of other drugs.
ended_episodes as (
    select
        episodes.*,
        limits.regimen_window_days
    from episodes
    inner join limits
        on episodes.layout_id = limits.layout_id
    inner join {{ ref('int_line_spans') }} as spans
        on
            episodes.layout_id = spans.layout_id
            and episodes.line_number = spans.line_number
    where
        episodes.episode < episodes.last_episode
        or {{ days_between('episodes.last_date', 'spans.end_date') }} > limits.phase_gap_days
),

drops as (
    select
        ended_episodes.layout_id,
        ended_episodes.line_number,
        ended_episodes.line_drug,
        min(drug_days.start_date) as start_date,
        min(drug_days.start_date) + max(ended_episodes.regimen_window_days) as window_end
    from ended_episodes
    inner join drug_days
        on
            ended_episodes.layout_id = drug_days.layout_id
            and ended_episodes.line_number = drug_days.line_number
            and ended_episodes.last_date < drug_days.start_date
    group by
        ended_episodes.layout_id,
        ended_episodes.line_number,
        ended_episodes.line_drug,
        ended_episodes.episode
    having count(distinct drug_days.start_date) >= 2
),

additions as (
    select
        episodes.layout_id,
        episodes.line_number,
        episodes.line_drug,
        episodes.episode,
        episodes.first_date
    from episodes
    inner join {{ ref('int_line_spans') }} as spans
        on
            episodes.layout_id = spans.layout_id
            and episodes.line_number = spans.line_number
            and episodes.first_date > spans.start_date
),

deescalations as (
    select distinct
        drops.layout_id,
        drops.line_number,
        'maintenance' as phase,
        drops.start_date
    from drops
    left join additions
        on
            drops.layout_id = additions.layout_id
            and drops.line_number = additions.line_number
            and drops.line_drug <> additions.line_drug
            and drops.start_date <= additions.first_date
            and drops.window_end >= additions.first_date
    where additions.first_date is null
),

reintroductions as (
    select distinct
        additions.layout_id,
        additions.line_number,
        'reintroduction' as phase,
        additions.first_date as start_date
    from additions
    left join drops
        on
            additions.layout_id = drops.layout_id
            and additions.line_number = drops.line_number
            and additions.line_drug <> drops.line_drug
            and additions.first_date >= drops.start_date
            and additions.first_date <= drops.window_end
    where
        additions.episode > 1
        and drops.start_date is null
),

changes as (
    select
        layout_id,
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
        partition by layout_id, line_number
        order by start_date
    )
),

phases as (
    select
        phase_starts.layout_id,
        phase_starts.line_number,
        phase_starts.phase,
        row_number() over (
            partition by phase_starts.layout_id, phase_starts.line_number
            order by phase_starts.start_date
        ) as phase_number,
        count(*) over (
            partition by phase_starts.layout_id, phase_starts.line_number
        ) as n_phases,
        phase_starts.start_date,
        coalesce(
            lead(phase_starts.start_date) over (
                partition by phase_starts.layout_id, phase_starts.line_number
                order by phase_starts.start_date
            ) - 1,
            spans.end_date
        ) as end_date,
        spans.start_date as line_start_date,
        spans.start_day as line_start_day,
        spans.drugs,
        spans.src_rids
    from phase_starts
    inner join {{ ref('int_line_spans') }} as spans
        on
            phase_starts.layout_id = spans.layout_id
            and phase_starts.line_number = spans.line_number
),

-- Of the lines of more than one phase; any other has the drugs and the evidence of its line.
phase_drugs as (
    select
        phases.layout_id,
        phases.line_number,
        phases.phase_number,
        {{ string_agg_sorted('exposures.ingredient', '+') }} as drugs,
        {{ merged_src_rids('exposures.src_rids') }} as src_rids
    from phases
    inner join their_exposures as exposures
        on
            phases.layout_id = exposures.layout_id
            and phases.line_number = exposures.line_number
            and phases.start_date <= exposures.start_date
            and phases.end_date >= exposures.start_date
    where phases.n_phases > 1
    group by phases.layout_id, phases.line_number, phases.phase_number
),

final as (
    select
        histories.study_id,
        histories.rule_set_id,
        histories.patient_key,
        phases.line_number,
        cast(phases.phase_number as int) as phase_number,
        phases.phase,
        coalesce(phase_drugs.drugs, phases.drugs) as drugs,
        phases.start_date,
        phases.end_date,
        phases.line_start_day
        + {{ days_between('phases.line_start_date', 'phases.start_date') }} as start_day,
        phases.line_start_day
        + {{ days_between('phases.line_start_date', 'phases.end_date') }} as end_day,
        coalesce(phase_drugs.src_rids, phases.src_rids) as src_rids
    from phases
    left join phase_drugs
        on
            phases.layout_id = phase_drugs.layout_id
            and phases.line_number = phase_drugs.line_number
            and phases.phase_number = phase_drugs.phase_number
    inner join {{ ref('int_line_layouts') }} as layouts
        on phases.layout_id = layouts.layout_id
    inner join {{ ref('int_line_histories') }} as histories
        on layouts.history_id = histories.history_id
)

select * from final
