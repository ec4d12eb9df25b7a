-- Each day that could begin a line, and where such a line would end: at the first later treatment day
-- on which a rule of Hess 2021 (Future Oncol 17:1865, Tables 1 and 3) or one of its extensions
-- advances it (seeds line_rule_sets, line_rule_additions, line_interchange_groups;
-- docs/lines_of_therapy.md).
-- Systemic anticancer drugs count; modifiers, supportive drugs and drugs that the record does not
-- name never do.
--
-- Only few treatment days can begin a line: the first, those with a drug absent for longer than the
-- regimen window or the limit after a progression, those after a break, and those from which a drug is
-- dropped. All patients and rule sets are worked out at once.
--
-- The sequence of a patient's treatment days is the same under most rule sets and is laid out once
-- for all of them.

with histories as (
    select
        histories.history_id,
        histories.patient_key,
        histories.counts_from,
        histories.counts_until,
        min(histories.history_id) over (
            partition by histories.treatment_id, rule_sets.monotherapy_class
        ) as sequence_id,
        rule_sets.*
    from {{ ref('int_line_histories') }} as histories
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
),

-- An absence or pause shorter than these matters to no rule set.
shortest_limits as (
    select
        min(regimen_window_days) as regimen_window_days,
        min(gap_days) as gap_days,
        min(progression_restart_days) as progression_restart_days
    from histories
),

rule_drugs as (
    select * from {{ ref('int_rule_drugs') }}
),

-- A drug once, for where it is the same to every rule set.
drugs as (
    select
        drug_number,
        min(drug_class) as drug_class,
        min(modality) as modality,
        bool_or(is_targeted) as is_targeted
    from rule_drugs
    group by drug_number
),

drug_days as (
    select
        histories.sequence_id,
        rule_drugs.line_drug_number,
        exposures.start_date,
        min(rule_drugs.drug_number) as drug_number,
        bool_or(rule_drugs.is_other_class) as is_other_class,
        max(least(exposures.coverage_end_date, histories.counts_until)) as coverage_end_date
    from {{ ref('int_drug_exposures') }} as exposures
    inner join histories
        on
            exposures.patient_key = histories.patient_key
            and histories.history_id = histories.sequence_id
            and exposures.start_date >= histories.counts_from
            and exposures.start_date <= histories.counts_until
            and (exposures.is_systemic or histories.regional_counts)
    -- An outer join, though every such drug has its row: it keeps engines from joining the drugs of
    -- all rule sets before the patients.
    left join rule_drugs
        on
            histories.rule_set_id = rule_drugs.rule_set_id
            and exposures.ingredient = rule_drugs.ingredient
    where exposures.is_named_anticancer
    group by histories.sequence_id, rule_drugs.line_drug_number, exposures.start_date
),

drug_sequences as (
    select
        *,
        lag(start_date) over (
            partition by sequence_id, line_drug_number
            order by start_date
        ) as last_given_date,
        lead(start_date) over (
            partition by sequence_id, line_drug_number
            order by start_date
        ) as next_given_date,
        lag(coverage_end_date) over (
            partition by sequence_id, line_drug_number
            order by start_date
        ) as previous_coverage_end_date,
        row_number() over (
            partition by sequence_id, line_drug_number
            order by start_date
        ) as day_number,
        count(*) over (partition by sequence_id, line_drug_number) as days_given
    from drug_days
),

treatment_days as (
    select
        sequence_id,
        start_date,
        max(coverage_end_date) as coverage_end_date,
        max(last_given_date) as member_last_given_date,
        case when bool_or(is_other_class) then start_date end as other_class_date
    from drug_sequences
    group by sequence_id, start_date
),

day_sequences as (
    select
        *,
        lag(coverage_end_date) over (
            partition by sequence_id
            order by start_date
        ) as previous_coverage_end_date,
        min(other_class_date) over (
            partition by sequence_id
            order by start_date
            rows between current row and unbounded following
        ) as next_other_class_date
    from treatment_days
),

first_days as (
    select
        sequence_id,
        min(start_date) as start_date
    from treatment_days
    group by sequence_id
),

-- A drug is new to every line begun after it was last given; one given within the regimen window
-- cannot be new, because a line begun since then is still within its window.
absences as (
    select drug_sequences.*
    from drug_sequences
    cross join shortest_limits
    where
        drug_sequences.last_given_date is null
        or {{ days_between('drug_sequences.last_given_date', 'drug_sequences.start_date') }}
        > shortest_limits.regimen_window_days
),

new_drugs as (
    select
        histories.history_id,
        histories.sequence_id,
        absences.start_date,
        absences.last_given_date,
        drugs.modality,
        drugs.is_targeted,
        additions.max_day as addition_max_day,
        case
            when drugs.modality = 'cytotoxic' then histories.monotherapy_add_days
        end as supplement_max_day,
        case
            when
                additions.max_day is not null
                or drugs.is_targeted
                or (drugs.modality = 'cytotoxic' and histories.monotherapy_add_days is not null)
                then absences.start_date + histories.regimen_window_days
        end as window_end,
        histories.regimen_window_days,
        histories.progression_change_advances,
        histories.toxicity_replacement_keeps and drugs.modality = 'cytotoxic' as may_replace
    from absences
    inner join histories
        on absences.sequence_id = histories.sequence_id
    inner join drugs
        on absences.drug_number = drugs.drug_number
    left join {{ ref('line_rule_additions') }} as additions
        on
            histories.additions_rule_set_id = additions.rule_set_id
            and drugs.drug_class = additions.drug_class
    where
        (
            absences.last_given_date is null
            or {{ days_between('absences.last_given_date', 'absences.start_date') }}
            > histories.regimen_window_days
        )
        and absences.days_given - absences.day_number + 1 >= histories.min_days_new_drug
),

-- Drugs taken up again after a progression. Treatment that merely goes on after one is not a
-- change. Here and in pauses only the supply of the day before counts; how long the drugs of a line
-- were without any is known where its first day is.
drug_pauses as (
    select
        drug_sequences.sequence_id,
        drug_sequences.line_drug_number,
        drug_sequences.start_date,
        drug_sequences.last_given_date,
        {{ days_between(
            'drug_sequences.previous_coverage_end_date', 'drug_sequences.start_date'
        ) }} as days_without
    from drug_sequences
    cross join shortest_limits
    where
        {{ days_between('drug_sequences.previous_coverage_end_date', 'drug_sequences.start_date') }}
        > shortest_limits.progression_restart_days
),

resumptions as (
    select
        histories.history_id,
        histories.sequence_id,
        histories.progression_restart_days,
        drug_pauses.line_drug_number,
        drug_pauses.start_date,
        drug_pauses.last_given_date,
        max(progressions.progression_date) as progression_date
    from drug_pauses
    inner join histories
        on
            drug_pauses.sequence_id = histories.sequence_id
            and drug_pauses.days_without > histories.progression_restart_days
    inner join {{ ref('int_progressions') }} as progressions
        on
            histories.patient_key = progressions.patient_key
            and drug_pauses.start_date >= progressions.progression_date
    group by
        histories.history_id,
        histories.sequence_id,
        histories.progression_restart_days,
        drug_pauses.line_drug_number,
        drug_pauses.start_date,
        drug_pauses.last_given_date
),

pauses as (
    select
        day_sequences.sequence_id,
        day_sequences.start_date,
        {{ days_between(
            'day_sequences.previous_coverage_end_date', 'day_sequences.start_date'
        ) }} as days_without
    from day_sequences
    cross join shortest_limits
    where
        {{ days_between('day_sequences.previous_coverage_end_date', 'day_sequences.start_date') }}
        > shortest_limits.gap_days
),

breaks as (
    select
        histories.history_id,
        histories.sequence_id,
        pauses.start_date,
        histories.gap_days
    from pauses
    inner join histories
        on
            pauses.sequence_id = histories.sequence_id
            and pauses.days_without > histories.gap_days
),

-- Only where the rule set says that leaving out a drug advances the line: a drug is dropped when it
-- is absent for longer than phase_gap_days and others of the line are given on at least two days
-- meanwhile.
drops as (
    select
        histories.history_id,
        histories.sequence_id,
        drug_sequences.start_date as last_given_date,
        drug_sequences.next_given_date,
        min(treatment_days.start_date) as start_date
    from drug_sequences
    inner join histories
        on
            drug_sequences.sequence_id = histories.sequence_id
            and histories.drop_advances
    inner join treatment_days
        on
            drug_sequences.sequence_id = treatment_days.sequence_id
            and drug_sequences.coverage_end_date < treatment_days.start_date
            and coalesce(treatment_days.start_date < drug_sequences.next_given_date, true)
    group by
        histories.history_id,
        histories.sequence_id,
        histories.phase_gap_days,
        drug_sequences.line_drug_number,
        drug_sequences.start_date,
        drug_sequences.coverage_end_date,
        drug_sequences.next_given_date
    having
        {{ days_between(
            'drug_sequences.coverage_end_date',
            'coalesce(drug_sequences.next_given_date, max(treatment_days.coverage_end_date))'
        ) }} > histories.phase_gap_days
),

possible_starts as (
    select
        histories.history_id,
        histories.sequence_id,
        first_days.start_date
    from first_days
    inner join histories
        on first_days.sequence_id = histories.sequence_id
    union
    select history_id, sequence_id, start_date from new_drugs
    union
    select history_id, sequence_id, start_date from resumptions
    union
    select history_id, sequence_id, start_date from breaks
    union
    select history_id, sequence_id, start_date from drops
),

possible_lines as (
    select
        possible_starts.*,
        day_sequences.next_other_class_date
    from possible_starts
    inner join day_sequences
        on
            possible_starts.sequence_id = day_sequences.sequence_id
            and possible_starts.start_date = day_sequences.start_date
),

last_progressions as (
    select
        new_days.sequence_id,
        new_days.start_date,
        max(progressions.progression_date) as progression_date
    from (select distinct sequence_id, start_date from new_drugs) as new_days
    inner join histories
        on new_days.sequence_id = histories.history_id
    inner join {{ ref('int_progressions') }} as progressions
        on
            histories.patient_key = progressions.patient_key
            and new_days.start_date >= progressions.progression_date
    group by new_days.sequence_id, new_days.start_date
),

-- A line goes on past a day when one of its drugs is given again within the regimen window from
-- that day, or was supplied before for at least that long.
continuations as (
    select
        possible_additions.sequence_id,
        possible_additions.start_date,
        possible_additions.window_end,
        max(
            case
                when drug_sequences.start_date < possible_additions.start_date
                    then drug_sequences.start_date
                else drug_sequences.last_given_date
            end
        ) as continued_since
    from (
        select distinct
            sequence_id,
            start_date,
            window_end
        from new_drugs
        where window_end is not null
    ) as possible_additions
    inner join drug_sequences
        on
            possible_additions.sequence_id = drug_sequences.sequence_id
            and possible_additions.window_end >= drug_sequences.start_date
            and (
                (
                    possible_additions.start_date > drug_sequences.start_date
                    and possible_additions.window_end <= drug_sequences.coverage_end_date
                )
                or (
                    possible_additions.start_date <= drug_sequences.start_date
                    and possible_additions.start_date > drug_sequences.last_given_date
                )
            )
    group by
        possible_additions.sequence_id,
        possible_additions.start_date,
        possible_additions.window_end
),

-- Only where the rule set says that a cytotoxic drug may take the place of one not tolerated: the
-- last day of a cytotoxic drug that was given near a severe toxicity, soon replaced, and not given
-- again within the regimen window.
replacements as (
    select
        new_drugs.history_id,
        new_drugs.start_date,
        max(drug_sequences.start_date) as replaced_last_date
    from new_drugs
    inner join histories
        on new_drugs.history_id = histories.history_id
    inner join drug_sequences
        on
            new_drugs.sequence_id = drug_sequences.sequence_id
            and new_drugs.start_date > drug_sequences.start_date
            and new_drugs.start_date <= drug_sequences.coverage_end_date + histories.phase_gap_days
            and coalesce(
                drug_sequences.next_given_date
                > new_drugs.start_date + histories.regimen_window_days,
                true
            )
    inner join drugs
        on
            drug_sequences.drug_number = drugs.drug_number
            and drugs.modality = 'cytotoxic'
    inner join {{ ref('int_severe_toxicities') }} as toxicities
        on
            histories.patient_key = toxicities.patient_key
            and toxicities.onset_date
            between drug_sequences.start_date - histories.regimen_window_days
            and drug_sequences.start_date + histories.regimen_window_days
    where new_drugs.may_replace
    group by new_drugs.history_id, new_drugs.start_date
),

drug_advances as (
    select
        possible_lines.history_id,
        possible_lines.start_date as line_start_date,
        new_drugs.start_date,
        case
            when
                new_drugs.progression_change_advances
                and last_progressions.progression_date > possible_lines.start_date
                then 'PD_WITH_CHANGE'
            when
                new_drugs.may_replace
                and replacements.replaced_last_date >= possible_lines.start_date
                then null
            when
                continuations.continued_since >= possible_lines.start_date
                and (
                    possible_lines.start_date + new_drugs.addition_max_day >= new_drugs.start_date
                    or (
                        possible_lines.start_date + new_drugs.supplement_max_day
                        >= new_drugs.start_date
                        and coalesce(
                            possible_lines.next_other_class_date >= new_drugs.start_date, true
                        )
                    )
                )
                then null
            when new_drugs.modality = 'cytotoxic' then 'NEW_CHEMO'
            when not new_drugs.is_targeted then 'NEW_DRUG'
            when continuations.continued_since >= possible_lines.start_date
                then 'LATE_BIOLOGIC_ADD'
            else 'SWITCH_TO_BIOLOGIC'
        end as reason
    from possible_lines
    inner join new_drugs
        on
            possible_lines.history_id = new_drugs.history_id
            and possible_lines.start_date + new_drugs.regimen_window_days < new_drugs.start_date
            and possible_lines.start_date
            > coalesce(new_drugs.last_given_date, possible_lines.start_date - 1)
    left join continuations
        on
            new_drugs.sequence_id = continuations.sequence_id
            and new_drugs.start_date = continuations.start_date
            and new_drugs.window_end = continuations.window_end
    left join replacements
        on
            new_drugs.history_id = replacements.history_id
            and new_drugs.start_date = replacements.start_date
    left join last_progressions
        on
            new_drugs.sequence_id = last_progressions.sequence_id
            and new_drugs.start_date = last_progressions.start_date
),

resumption_advances as (
    select
        possible_lines.history_id,
        possible_lines.start_date as line_start_date,
        resumptions.start_date,
        'PD_WITH_CHANGE' as reason
    from possible_lines
    inner join resumptions
        on
            possible_lines.history_id = resumptions.history_id
            and possible_lines.start_date <= resumptions.last_given_date
            and possible_lines.start_date < resumptions.progression_date
    inner join drug_sequences
        on
            resumptions.sequence_id = drug_sequences.sequence_id
            and resumptions.line_drug_number = drug_sequences.line_drug_number
            and resumptions.start_date > drug_sequences.start_date
            and possible_lines.start_date <= drug_sequences.start_date
    group by
        possible_lines.history_id,
        possible_lines.start_date,
        resumptions.line_drug_number,
        resumptions.start_date,
        resumptions.progression_restart_days
    having
        {{ days_between('max(drug_sequences.coverage_end_date)', 'resumptions.start_date') }}
        > resumptions.progression_restart_days
),

break_advances as (
    select
        possible_lines.history_id,
        possible_lines.start_date as line_start_date,
        breaks.start_date,
        'GAP' as reason
    from possible_lines
    inner join breaks
        on
            possible_lines.history_id = breaks.history_id
            and possible_lines.start_date < breaks.start_date
    inner join treatment_days
        on
            breaks.sequence_id = treatment_days.sequence_id
            and breaks.start_date > treatment_days.start_date
            and possible_lines.start_date <= treatment_days.start_date
    group by
        possible_lines.history_id,
        possible_lines.start_date,
        breaks.start_date,
        breaks.gap_days
    having
        {{ days_between('max(treatment_days.coverage_end_date)', 'breaks.start_date') }}
        > breaks.gap_days
),

drop_advances as (
    select
        possible_lines.history_id,
        possible_lines.start_date as line_start_date,
        drops.start_date,
        'DRUG_DROPPED' as reason
    from possible_lines
    inner join drops
        on
            possible_lines.history_id = drops.history_id
            and possible_lines.start_date <= drops.last_given_date
    inner join treatment_days
        on
            drops.sequence_id = treatment_days.sequence_id
            and drops.start_date <= treatment_days.start_date
            and coalesce(treatment_days.start_date < drops.next_given_date, true)
            and possible_lines.start_date <= treatment_days.member_last_given_date
    group by possible_lines.history_id, possible_lines.start_date, drops.start_date, drops.last_given_date
    having count(*) >= 2 and min(treatment_days.start_date) = drops.start_date
),

advances as (
    select * from drug_advances where reason is not null
    union all
    select * from resumption_advances
    union all
    select * from break_advances
    union all
    select * from drop_advances
),

-- Of the days that would advance a line the first; of several reasons on that day the one that
-- precedes the others in seed line_start_reasons.
next_lines as (
    select
        advances.history_id,
        advances.line_start_date,
        min(advances.start_date) as start_date,
        min_by(
            advances.reason,
            {{ days_between('advances.line_start_date', 'advances.start_date') }} * 100
            + reasons.precedence
        ) as reason
    from advances
    inner join {{ ref('line_start_reasons') }} as reasons
        on advances.reason = reasons.reason
    group by advances.history_id, advances.line_start_date
),

final as (
    select
        possible_lines.history_id,
        possible_lines.start_date,
        next_lines.start_date as next_line_start_date,
        next_lines.reason as next_start_reason
    from possible_lines
    left join next_lines
        on
            possible_lines.history_id = next_lines.history_id
            and possible_lines.start_date = next_lines.line_start_date
)

select * from final
