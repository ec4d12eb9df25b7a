-- Best overall response (RECIST 1.1, Eisenhauer 2009, sections 4.4.3 and 4.6.1) between the start
-- of a line and its first progression, unconfirmed and confirmed. Confirmation follows admiralonco
-- (derive_param_confirmed_bor): a complete response needs a later one, a partial response a later
-- complete or partial one, so many days on (seed endpoint_rule_sets); between them only what is as
-- good, few visits not evaluable, and one stable disease where the rule set accepts it. An
-- unconfirmed response, and stable disease, count as stable once seen late enough, before that as
-- not evaluable. New anticancer therapy may be a procedure: where none was delivered, a rule set
-- that stops at new therapy says nothing of responses.

with delivered as (
    select count_if(n_records > 0) > 0 as has_procedures
    from {{ source('extract', 'files') }}
    where table_name = 'procedures'
),

rule_sets as (
    select
        endpoint_rule_sets.*,
        row_number() over (order by endpoint_rule_sets.endpoint_rule_set_id) as rule_number
    from {{ ref('endpoint_rule_sets') }} as endpoint_rule_sets
    cross join delivered
    where
        endpoint_rule_sets.endpoint = 'BOR'
        and (endpoint_rule_sets.stop_at <> 'new_therapy' or delivered.has_procedures)
),

-- A line under a rule set has a number of its own.
wanted as (
    select
        endpoint_lines.endpoint_line_id * 1000 + rule_sets.rule_number as line_id,
        endpoint_lines.endpoint_line_id,
        endpoint_lines.study_id,
        endpoint_lines.line_rule_set_id,
        rule_sets.endpoint_rule_set_id,
        endpoint_lines.patient_key,
        endpoint_lines.line_number,
        rule_sets.response_source,
        endpoint_lines.start_date,
        case
            when rule_sets.start_day_counts = 'yes' then endpoint_lines.start_date
            else endpoint_lines.start_date + 1
        end as counted_from,
        case rule_sets.stop_at
            when 'next_line' then 'next_line'
            when 'new_therapy' then 'new_anticancer_therapy'
        end as stop_source,
        endpoint_lines.data_cutoff,
        rule_sets.clinical_counts,
        rule_sets.stop_at_progression,
        endpoint_lines.start_date + rule_sets.minimum_stable_days as stable_from,
        rule_sets.confirmation_days,
        rule_sets.max_not_evaluable_between,
        case when rule_sets.accept_stable_between = 'yes' then 1 else 0 end
            as max_stable_between,
        rule_sets.missing_is_not_evaluable
    from {{ ref('int_endpoint_lines') }} as endpoint_lines
    inner join rule_sets
        on {{ is_wanted('endpoint_lines', 'rule_sets') }}
    where
        endpoint_lines.line_id = endpoint_lines.endpoint_line_id
        and endpoint_lines.line_number > 0
),

lines as (
    select
        wanted.*,
        -- `least` skips NULL in both engines; new therapy may be dated after the cut-off.
        least(line_facts.fact_date, wanted.data_cutoff) as counted_until
    from wanted
    left join {{ ref('int_line_facts') }} as line_facts
        on
            wanted.endpoint_line_id = line_facts.endpoint_line_id
            and wanted.stop_source = line_facts.source
),

assessments as (
    select
        lines.line_id,
        lines.stop_at_progression,
        lines.stable_from,
        lines.confirmation_days,
        lines.max_not_evaluable_between,
        lines.max_stable_between,
        assessments.assessment_date,
        assessments.overall_response as recorded,
        assessments.src_rid,
        coalesce(assessments.modality, '') = 'clinical' and lines.clinical_counts = 'no'
            as only_ends_response
    from lines
    inner join {{ ref('stg_common__tumour_assessments') }} as assessments
        on
            lines.patient_key = assessments.patient_key
            and lines.counted_from <= assessments.assessment_date
            and lines.counted_until >= assessments.assessment_date
    where
        lines.response_source = 'investigator'
        and assessments.overall_response is not null
    union all
    select
        lines.line_id,
        lines.stop_at_progression,
        lines.stable_from,
        lines.confirmation_days,
        lines.max_not_evaluable_between,
        lines.max_stable_between,
        assessments.assessment_date,
        assessments.derived_response as recorded,
        assessments.assessment_src_rid as src_rid,
        false as only_ends_response
    from lines
    inner join {{ ref('recist_assessments') }} as assessments
        on
            lines.study_id = assessments.study_id
            and lines.line_rule_set_id = assessments.line_rule_set_id
            and lines.patient_key = assessments.patient_key
            and lines.line_number = assessments.line_number
            and lines.counted_from <= assessments.assessment_date
            and lines.counted_until >= assessments.assessment_date
    where
        lines.response_source = 'derived'
        and assessments.derived_response is not null
),

first_progressions as (
    select
        line_id,
        min(assessment_date) as first_progression_date
    from assessments
    where stop_at_progression = 'yes' and recorded = 'PD'
    group by line_id
),

-- Of the responses of one day the worst stands, so that no progression is a response too; one not
-- evaluable says nothing beside another. No source speaks of it; the rule is ours.
days as (
    select
        assessments.line_id,
        assessments.stable_from,
        assessments.confirmation_days,
        assessments.max_not_evaluable_between,
        assessments.max_stable_between,
        assessments.assessment_date,
        max_by(
            assessments.recorded,
            case assessments.recorded
                when 'NE' then 0
                when 'CR' then 1
                when 'PR' then 2
                when 'SD' then 3
                when 'NON-CR/NON-PD' then 4
                else 5
            end
        ) as recorded,
        count(*) as n_assessments,
        array_agg(assessments.src_rid) as src_rids
    from assessments
    left join first_progressions
        on assessments.line_id = first_progressions.line_id
    where
        assessments.assessment_date
        <= coalesce(first_progressions.first_progression_date, assessments.assessment_date)
        and not assessments.only_ends_response
    group by
        assessments.line_id,
        assessments.stable_from,
        assessments.confirmation_days,
        assessments.max_not_evaluable_between,
        assessments.max_stable_between,
        assessments.assessment_date
),

records as (
    select
        *,
        case
            when recorded in ('SD', 'NON-CR/NON-PD') and assessment_date < stable_from then 'NE'
            else recorded
        end as response,
        row_number() over (partition by line_id order by assessment_date) as visit
    from days
),

candidates as (
    select
        line_id,
        visit,
        recorded,
        assessment_date + confirmation_days as confirmable_from,
        max_not_evaluable_between,
        max_stable_between
    from records
    where recorded in ('CR', 'PR')
),

later_visits as (
    select
        candidates.*,
        records.visit as later_visit,
        records.recorded as later_response,
        records.assessment_date as later_date,
        min(
            case
                when
                    records.assessment_date >= candidates.confirmable_from
                    and (
                        records.recorded = 'CR'
                        or (records.recorded = 'PR' and candidates.recorded = 'PR')
                    )
                    then records.visit
            end
        ) over (
            partition by candidates.line_id, candidates.visit
        ) as confirming_visit
    from candidates
    inner join records
        on
            candidates.line_id = records.line_id
            and candidates.visit < records.visit
),

confirmed as (
    select
        line_id,
        visit
    from later_visits
    where later_visit <= confirming_visit
    group by line_id, visit, recorded
    having
        count_if(
            later_response not in ('CR', 'NE')
            and (recorded = 'CR' or later_response not in ('PR', 'SD'))
        ) = 0
        and count_if(later_response = 'NE') <= max(max_not_evaluable_between)
        and count_if(later_response = 'SD') <= max(max_stable_between)
        and coalesce(
            max(case when later_response = 'PR' then later_date end)
            < min(case when later_response = 'CR' then later_date end),
            true
        )
),

ranked as (
    select
        records.*,
        confirmed.visit is not null as is_confirmed,
        case records.response
            when 'CR' then 1
            when 'PR' then 2
            when 'SD' then 3
            when 'NON-CR/NON-PD' then 4
            when 'PD' then 5
            else 6
        end as response_rank,
        case
            when confirmed.visit is not null and records.recorded = 'CR' then 1
            when confirmed.visit is not null then 2
            when
                records.recorded in ('CR', 'PR', 'SD')
                and records.assessment_date >= records.stable_from
                then 3
            when records.response = 'NON-CR/NON-PD' then 4
            when records.response = 'PD' then 5
            else 6
        end as confirmed_rank
    from records
    left join confirmed
        on
            records.line_id = confirmed.line_id
            and records.visit = confirmed.visit
),

best as (
    select
        line_id,
        min(response_rank) as best_rank,
        min_by(assessment_date, 1000 * response_rank + visit) as best_date,
        min(confirmed_rank) as confirmed_rank,
        min_by(assessment_date, 1000 * confirmed_rank + visit) as confirmed_date,
        min(case when response in ('CR', 'PR') then assessment_date end) as first_response_date,
        min(case when is_confirmed then assessment_date end) as first_confirmed_date,
        min(case when response in ('CR', 'PR', 'SD', 'NON-CR/NON-PD') then assessment_date end)
            as disease_control_date,
        sum(n_assessments) as n_assessments,
        array_sort(flatten(array_agg(src_rids))) as src_rids
    from ranked
    group by line_id
),

-- Depth of response: the largest fall of a complete target sum up to progression, or smallest rise.
depths as (
    select
        lines.line_id,
        min(assessments.change_from_baseline_pct) as best_change_pct
    from lines
    inner join {{ ref('recist_assessments') }} as assessments
        on
            lines.study_id = assessments.study_id
            and lines.line_rule_set_id = assessments.line_rule_set_id
            and lines.patient_key = assessments.patient_key
            and lines.line_number = assessments.line_number
            and lines.counted_from <= assessments.assessment_date
    left join first_progressions
        on lines.line_id = first_progressions.line_id
    where
        not assessments.is_baseline
        and assessments.assessment_date
        <= coalesce(first_progressions.first_progression_date, lines.counted_until)
    group by lines.line_id
),

final as (
    select
        endpoint_lines.study_id,
        endpoint_lines.line_rule_set_id,
        lines.endpoint_rule_set_id,
        endpoint_lines.patient_key,
        endpoint_lines.line_number,
        lines.response_source,
        case
            when best.best_rank = 1 then 'CR'
            when best.best_rank = 2 then 'PR'
            when best.best_rank = 3 then 'SD'
            when best.best_rank = 4 then 'NON-CR/NON-PD'
            when best.best_rank = 5 then 'PD'
            when best.best_rank = 6 or lines.missing_is_not_evaluable = 'yes' then 'NE'
        end as best_overall_response,
        case
            when best.confirmed_rank = 1 then 'CR'
            when best.confirmed_rank = 2 then 'PR'
            when best.confirmed_rank = 3 then 'SD'
            when best.confirmed_rank = 4 then 'NON-CR/NON-PD'
            when best.confirmed_rank = 5 then 'PD'
            when best.confirmed_rank = 6 or lines.missing_is_not_evaluable = 'yes' then 'NE'
        end as confirmed_best_overall_response,
        best.first_response_date is not null as objective_response,
        best.first_confirmed_date is not null as confirmed_objective_response,
        best.disease_control_date is not null as disease_control,
        best.best_date as response_date,
        best.confirmed_date as confirmed_best_date,
        best.first_response_date,
        best.first_confirmed_date as confirmed_response_date,
        best.disease_control_date,
        {{ days_between('lines.start_date', 'best.best_date') }} as days_to_response,
        {{ days_between('lines.start_date', 'best.confirmed_date') }} as days_to_confirmed_best,
        {{ days_between('lines.start_date', 'best.first_response_date') }}
            as days_to_first_response,
        {{ days_between('lines.start_date', 'best.first_confirmed_date') }}
            as days_to_confirmed_response,
        {{ days_between('lines.start_date', 'best.disease_control_date') }}
            as days_to_disease_control,
        cast(coalesce(best.n_assessments, 0) as int) as n_assessments,
        depths.best_change_pct,
        best.src_rids
    from lines
    inner join {{ ref('int_endpoint_lines') }} as endpoint_lines
        on lines.endpoint_line_id = endpoint_lines.endpoint_line_id
    left join best
        on lines.line_id = best.line_id
    left join depths
        on lines.line_id = depths.line_id
)

select * from final
