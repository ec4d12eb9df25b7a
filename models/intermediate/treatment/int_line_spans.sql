-- How far each line reaches. Its last day is the last day covered by its drugs (Hess 2021: the later
-- of the last infusion and the end of the oral supply), at most the day before the next line. A last
-- line ends by death when the patient died within the gap that a line may have, goes on when less than
-- that gap lay between its coverage and the last contact, and was discontinued otherwise (the usual
-- definition of real-world time to discontinuation).

with treatment_days as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        start_date,
        max(days_from_line_start) as days_from_line_start,
        max(coverage_end_date) as coverage_end_date,
        {{ merged_src_rids('src_rids') }} as src_rids
    from {{ ref('int_exposure_lines') }}
    where is_counted
    group by study_id, rule_set_id, patient_key, line_number, start_date
),

sequence_of_days as (
    select
        *,
        max(coverage_end_date) over (
            partition by study_id, rule_set_id, patient_key, line_number
            order by start_date
            rows between unbounded preceding and 1 preceding
        ) as covered_before
    from treatment_days
),

treated as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        max(start_date) as last_treatment_date,
        max(coverage_end_date) as coverage_end_date,
        cast(count(*) as int) as n_treatment_days,
        cast(count(distinct floor(days_from_line_start / 14.0)) as int) as n_cycles,
        max({{ days_between('covered_before', 'start_date') }}) as longest_gap_days,
        {{ merged_src_rids('src_rids') }} as src_rids
    from sequence_of_days
    group by study_id, rule_set_id, patient_key, line_number
),

spans as (
    select
        line_starts.*,
        treated.last_treatment_date,
        treated.coverage_end_date,
        least(treated.coverage_end_date, line_starts.next_line_start_date - 1) as end_date,
        treated.n_treatment_days,
        treated.n_cycles,
        treated.longest_gap_days,
        study_index.index_date,
        study_index.death_date,
        {{ days_between(
            'treated.coverage_end_date',
            'coalesce(study_index.death_date, study_index.last_contact_date, study_index.data_cutoff)'
        ) }}
        <= coalesce(rule_sets.gap_days, 99999) as observed_within_gap,
        treated.src_rids
    from {{ ref('int_line_starts') }} as line_starts
    inner join treated
        on
            line_starts.study_id = treated.study_id
            and line_starts.rule_set_id = treated.rule_set_id
            and line_starts.patient_key = treated.patient_key
            and line_starts.line_number = treated.line_number
    inner join {{ ref('int_study_index') }} as study_index
        on
            line_starts.study_id = study_index.study_id
            and line_starts.patient_key = study_index.patient_key
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on line_starts.rule_set_id = rule_sets.rule_set_id
),

final as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        start_reason,
        case
            when next_line_start_date is not null then 'NEXT_LINE'
            when observed_within_gap and death_date is not null then 'DEATH'
            when observed_within_gap then 'ONGOING'
            else 'DISCONTINUED'
        end as end_reason,
        start_date,
        last_treatment_date,
        end_date,
        coverage_end_date,
        next_line_start_date,
        {{ days_between('index_date', 'start_date') }} as start_day,
        {{ days_between('index_date', 'end_date') }} as end_day,
        n_treatment_days,
        n_cycles,
        longest_gap_days,
        src_rids
    from spans
)

select * from final
