-- Where lines begin and why. A line ends where the next begins: at the first treatment day on which a
-- rule of Hess 2021 (Future Oncol 17:1865, Tables 1 and 3) or one of its extensions advances it
-- (seeds line_rule_sets, line_rule_additions, line_interchange_groups; docs/lines_of_therapy.md).
--
-- Only few treatment days can begin a line: the first, those with a drug absent for longer than the
-- regimen window, and those after a break. For each of them the first later day that would advance a
-- line begun there is found at once for all patients and rule sets; the lines are then the chain of
-- such days from the first.

with rule_sets as (
    select * from {{ ref('line_rule_sets') }}
),

exposures as (
    select
        line_exposures.*,
        rule_sets.regimen_window_days,
        rule_sets.monotherapy_class,
        rule_sets.min_days_new_drug,
        max(line_exposures.start_date) over (
            partition by
                line_exposures.study_id,
                line_exposures.rule_set_id,
                line_exposures.patient_key,
                line_exposures.line_drug
            order by line_exposures.start_date
            range between unbounded preceding and interval 1 day preceding
        ) as last_given_date,
        dense_rank() over (
            partition by
                line_exposures.study_id,
                line_exposures.rule_set_id,
                line_exposures.patient_key,
                line_exposures.line_drug
            order by line_exposures.start_date desc
        ) as days_given_from_here
    from {{ ref('int_line_exposures') }} as line_exposures
    inner join rule_sets
        on line_exposures.rule_set_id = rule_sets.rule_set_id
    where line_exposures.in_lines
),

treatment_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        start_date,
        max(coverage_end_date) as coverage_end_date,
        max(last_given_date) as member_last_given_date,
        min(case when drug_class is distinct from monotherapy_class then start_date end)
            as other_class_date
    from exposures
    group by study_id, rule_set_id, patient_key, start_date
),

sequence_of_days as (
    select
        *,
        lag(coverage_end_date) over (
            partition by study_id, rule_set_id, patient_key
            order by start_date
        ) as previous_coverage_end_date,
        min(other_class_date) over (
            partition by study_id, rule_set_id, patient_key
            order by start_date
            rows between current row and unbounded following
        ) as next_other_class_date
    from treatment_days
),

first_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        min(start_date) as start_date
    from treatment_days
    group by study_id, rule_set_id, patient_key
),

-- A drug is new to every line begun after it was last given; one given within the regimen window
-- cannot be new, because a line begun since then is still within its window.
new_drugs as (
    select
        study_id,
        rule_set_id,
        patient_key,
        start_date,
        last_given_date,
        regimen_window_days,
        modality,
        drug_class
    from exposures
    where
        (
            last_given_date is null
            or {{ days_between('last_given_date', 'start_date') }} > regimen_window_days
        )
        and days_given_from_here >= min_days_new_drug
),

-- A line goes on past a day when one of its drugs is given again within the regimen window from that
-- day, or was supplied for longer than the window.
continuations as (
    select
        new_days.study_id,
        new_days.rule_set_id,
        new_days.patient_key,
        new_days.start_date,
        max(
            case
                when exposures.start_date < new_days.start_date then exposures.start_date
                else exposures.last_given_date
            end
        ) as continued_since
    from (
        select distinct study_id, rule_set_id, patient_key, start_date, regimen_window_days
        from new_drugs
    ) as new_days
    inner join exposures
        on
            new_days.study_id = exposures.study_id
            and new_days.rule_set_id = exposures.rule_set_id
            and new_days.patient_key = exposures.patient_key
            and exposures.start_date <= new_days.start_date + new_days.regimen_window_days
            and (
                (
                    exposures.start_date < new_days.start_date
                    and exposures.coverage_end_date
                    >= new_days.start_date + new_days.regimen_window_days
                )
                or (
                    exposures.start_date >= new_days.start_date
                    and exposures.last_given_date < new_days.start_date
                )
            )
    group by
        new_days.study_id, new_days.rule_set_id, new_days.patient_key, new_days.start_date
),

breaks as (
    select
        sequence_of_days.study_id,
        sequence_of_days.rule_set_id,
        sequence_of_days.patient_key,
        sequence_of_days.start_date
    from sequence_of_days
    inner join rule_sets
        on sequence_of_days.rule_set_id = rule_sets.rule_set_id
    where
        {{ days_between('sequence_of_days.previous_coverage_end_date', 'sequence_of_days.start_date') }}
        > least(rule_sets.gap_days, rule_sets.progression_restart_days)
),

drops as (
    select
        exposures.study_id,
        exposures.rule_set_id,
        exposures.patient_key,
        exposures.start_date as last_given_date,
        min(treatment_days.start_date) as start_date
    from exposures
    inner join rule_sets
        on
            exposures.rule_set_id = rule_sets.rule_set_id
            and rule_sets.drop_advances
    inner join treatment_days
        on
            exposures.study_id = treatment_days.study_id
            and exposures.rule_set_id = treatment_days.rule_set_id
            and exposures.patient_key = treatment_days.patient_key
            and exposures.coverage_end_date < treatment_days.start_date
    left join exposures as later_exposures
        on
            exposures.study_id = later_exposures.study_id
            and exposures.rule_set_id = later_exposures.rule_set_id
            and exposures.patient_key = later_exposures.patient_key
            and exposures.line_drug = later_exposures.line_drug
            and exposures.start_date < later_exposures.start_date
            and exposures.coverage_end_date + rule_sets.phase_gap_days
            >= later_exposures.start_date
    where later_exposures.start_date is null
    group by
        exposures.study_id,
        exposures.rule_set_id,
        exposures.patient_key,
        exposures.line_drug,
        exposures.start_date
),

possible_starts as (
    select study_id, rule_set_id, patient_key, start_date from first_days
    union
    select study_id, rule_set_id, patient_key, start_date from new_drugs
    union
    select study_id, rule_set_id, patient_key, start_date from breaks
    union
    select study_id, rule_set_id, patient_key, start_date from drops
),

last_progressions as (
    select
        possible_starts.study_id,
        possible_starts.rule_set_id,
        possible_starts.patient_key,
        possible_starts.start_date,
        max(progressions.progression_date) as progression_date
    from possible_starts
    inner join {{ ref('int_progressions') }} as progressions
        on
            possible_starts.patient_key = progressions.patient_key
            and possible_starts.start_date >= progressions.progression_date
    group by
        possible_starts.study_id,
        possible_starts.rule_set_id,
        possible_starts.patient_key,
        possible_starts.start_date
),

possible_lines as (
    select
        possible_starts.*,
        sequence_of_days.next_other_class_date
    from possible_starts
    inner join sequence_of_days
        on
            possible_starts.study_id = sequence_of_days.study_id
            and possible_starts.rule_set_id = sequence_of_days.rule_set_id
            and possible_starts.patient_key = sequence_of_days.patient_key
            and possible_starts.start_date = sequence_of_days.start_date
),

drug_days as (
    select
        new_drugs.study_id,
        new_drugs.rule_set_id,
        new_drugs.patient_key,
        new_drugs.start_date,
        new_drugs.last_given_date,
        new_drugs.regimen_window_days,
        new_drugs.modality,
        additions.max_day as addition_max_day,
        case
            when new_drugs.modality = 'cytotoxic' then rule_sets.monotherapy_add_days
        end as supplement_max_day,
        continuations.continued_since,
        case
            when rule_sets.progression_change_advances then last_progressions.progression_date
        end as progression_date
    from new_drugs
    inner join rule_sets
        on new_drugs.rule_set_id = rule_sets.rule_set_id
    left join {{ ref('line_rule_additions') }} as additions
        on
            rule_sets.additions_rule_set_id = additions.rule_set_id
            and new_drugs.drug_class = additions.drug_class
    left join continuations
        on
            new_drugs.study_id = continuations.study_id
            and new_drugs.rule_set_id = continuations.rule_set_id
            and new_drugs.patient_key = continuations.patient_key
            and new_drugs.start_date = continuations.start_date
    left join last_progressions
        on
            new_drugs.study_id = last_progressions.study_id
            and new_drugs.rule_set_id = last_progressions.rule_set_id
            and new_drugs.patient_key = last_progressions.patient_key
            and new_drugs.start_date = last_progressions.start_date
),

drug_advances as (
    select
        possible_lines.study_id,
        possible_lines.rule_set_id,
        possible_lines.patient_key,
        possible_lines.start_date as line_start_date,
        drug_days.start_date,
        case
            when drug_days.progression_date > possible_lines.start_date then 'PD_WITH_CHANGE'
            when
                drug_days.continued_since >= possible_lines.start_date
                and (
                    possible_lines.start_date + drug_days.addition_max_day >= drug_days.start_date
                    or (
                        possible_lines.start_date + drug_days.supplement_max_day
                        >= drug_days.start_date
                        and coalesce(
                            possible_lines.next_other_class_date >= drug_days.start_date, true
                        )
                    )
                )
                then null
            when drug_days.modality = 'cytotoxic' then 'NEW_CHEMO'
            when drug_days.modality not in ('targeted', 'immunotherapy') then 'NEW_DRUG'
            when drug_days.continued_since >= possible_lines.start_date then 'LATE_BIOLOGIC_ADD'
            else 'SWITCH_TO_BIOLOGIC'
        end as reason
    from possible_lines
    inner join drug_days
        on
            possible_lines.study_id = drug_days.study_id
            and possible_lines.rule_set_id = drug_days.rule_set_id
            and possible_lines.patient_key = drug_days.patient_key
            and possible_lines.start_date + drug_days.regimen_window_days < drug_days.start_date
            and possible_lines.start_date
            > coalesce(drug_days.last_given_date, possible_lines.start_date - 1)
),

line_breaks as (
    select
        possible_lines.study_id,
        possible_lines.rule_set_id,
        possible_lines.patient_key,
        possible_lines.start_date as line_start_date,
        breaks.start_date,
        {{ days_between('max(treatment_days.coverage_end_date)', 'breaks.start_date') }} as days_off
    from possible_lines
    inner join breaks
        on
            possible_lines.study_id = breaks.study_id
            and possible_lines.rule_set_id = breaks.rule_set_id
            and possible_lines.patient_key = breaks.patient_key
            and possible_lines.start_date < breaks.start_date
    inner join treatment_days
        on
            breaks.study_id = treatment_days.study_id
            and breaks.rule_set_id = treatment_days.rule_set_id
            and breaks.patient_key = treatment_days.patient_key
            and breaks.start_date > treatment_days.start_date
            and possible_lines.start_date <= treatment_days.start_date
    group by
        possible_lines.study_id,
        possible_lines.rule_set_id,
        possible_lines.patient_key,
        possible_lines.start_date,
        breaks.start_date
),

break_advances as (
    select
        line_breaks.study_id,
        line_breaks.rule_set_id,
        line_breaks.patient_key,
        line_breaks.line_start_date,
        line_breaks.start_date,
        case
            when line_breaks.days_off > rule_sets.gap_days then 'GAP'
            when
                line_breaks.days_off > rule_sets.progression_restart_days
                and last_progressions.progression_date > line_breaks.line_start_date
                then 'PD_RESTART'
        end as reason
    from line_breaks
    inner join rule_sets
        on line_breaks.rule_set_id = rule_sets.rule_set_id
    left join last_progressions
        on
            line_breaks.study_id = last_progressions.study_id
            and line_breaks.rule_set_id = last_progressions.rule_set_id
            and line_breaks.patient_key = last_progressions.patient_key
            and line_breaks.start_date = last_progressions.start_date
),

drop_advances as (
    select
        possible_lines.study_id,
        possible_lines.rule_set_id,
        possible_lines.patient_key,
        possible_lines.start_date as line_start_date,
        drops.start_date,
        'DRUG_DROPPED' as reason
    from possible_lines
    inner join drops
        on
            possible_lines.study_id = drops.study_id
            and possible_lines.rule_set_id = drops.rule_set_id
            and possible_lines.patient_key = drops.patient_key
            and possible_lines.start_date <= drops.last_given_date
    inner join treatment_days
        on
            drops.study_id = treatment_days.study_id
            and drops.rule_set_id = treatment_days.rule_set_id
            and drops.patient_key = treatment_days.patient_key
            and drops.start_date = treatment_days.start_date
            and possible_lines.start_date <= treatment_days.member_last_given_date
),

advances as (
    select * from drug_advances where reason is not null
    union all
    select * from break_advances where reason is not null
    union all
    select * from drop_advances
),

next_lines as (
    select
        advances.study_id,
        advances.rule_set_id,
        advances.patient_key,
        advances.line_start_date,
        advances.start_date as next_start_date,
        advances.reason as next_reason
    from advances
    inner join {{ ref('line_start_reasons') }} as reasons
        on advances.reason = reasons.reason
    qualify row_number() over (
        partition by
            advances.study_id,
            advances.rule_set_id,
            advances.patient_key,
            advances.line_start_date
        order by advances.start_date, reasons.precedence
    ) = 1
),

lines as (
    with recursive chain as (
        select
            study_id,
            rule_set_id,
            patient_key,
            1 as line_number,
            start_date,
            'FIRST_SACT' as start_reason
        from first_days
        union all
        select
            chain.study_id,
            chain.rule_set_id,
            chain.patient_key,
            chain.line_number + 1 as line_number,
            next_lines.next_start_date as start_date,
            next_lines.next_reason as start_reason
        from chain
        inner join next_lines
            on
                chain.study_id = next_lines.study_id
                and chain.rule_set_id = next_lines.rule_set_id
                and chain.patient_key = next_lines.patient_key
                and chain.start_date = next_lines.line_start_date
    )

    select * from chain
),

final as (
    select
        *,
        lead(start_date) over (
            partition by study_id, rule_set_id, patient_key
            order by line_number
        ) as next_line_start_date
    from lines
)

select * from final
