-- Best overall response, unconfirmed, of the investigator's assessments under RECIST 1.1 (Eisenhauer
-- 2009, section 4.3): the best between the start of the line and the first progression or the next line.
-- Stable disease seen too early (seed endpoint_rule_sets) is not evaluable.

with assessments as (
    select
        lines_of_therapy.study_id,
        lines_of_therapy.rule_set_id as line_rule_set_id,
        lines_of_therapy.patient_key,
        lines_of_therapy.line_number,
        lines_of_therapy.start_date,
        assessments.assessment_date,
        assessments.src_rid,
        case
            when
                assessments.overall_response in ('SD', 'NON-CR/NON-PD')
                and {{ days_between('lines_of_therapy.start_date', 'assessments.assessment_date') }}
                < rule_sets.minimum_stable_days
                then 'NE'
            else assessments.overall_response
        end as response,
        min(case when assessments.overall_response = 'PD' then assessments.assessment_date end) over (
            partition by
                lines_of_therapy.study_id,
                lines_of_therapy.rule_set_id,
                lines_of_therapy.patient_key,
                lines_of_therapy.line_number
        ) as first_progression_date
    from {{ ref('lines_of_therapy') }} as lines_of_therapy
    inner join {{ ref('studies') }} as studies
        on lines_of_therapy.study_id = studies.study_id
    inner join {{ ref('endpoint_rule_sets') }} as rule_sets
        on
            studies.endpoint_rule_set_id = rule_sets.endpoint_rule_set_id
            and rule_sets.endpoint = 'BOR'
    inner join {{ ref('stg_common__tumour_assessments') }} as assessments
        on
            lines_of_therapy.patient_key = assessments.patient_key
            and assessments.assessment_date > lines_of_therapy.start_date
            and assessments.assessment_date
            <= coalesce(lines_of_therapy.next_line_start_date, studies.data_cutoff)
    where assessments.overall_response is not null
),

ranked as (
    select
        *,
        case response
            when 'CR' then 1
            when 'PR' then 2
            when 'SD' then 3
            when 'NON-CR/NON-PD' then 4
            when 'PD' then 5
            else 6
        end as response_rank
    from assessments
    where assessment_date <= coalesce(first_progression_date, assessment_date)
),

best as (
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        min_by(response, response_rank) as best_overall_response,
        min_by(assessment_date, concat_ws(' ', cast(response_rank as string), cast(assessment_date as string)))
            as response_date,
        count(*) as n_assessments,
        {{ src_rids('src_rid') }} as src_rids
    from ranked
    group by study_id, line_rule_set_id, patient_key, line_number
),

final as (
    select
        lines_of_therapy.study_id,
        lines_of_therapy.rule_set_id as line_rule_set_id,
        lines_of_therapy.patient_key,
        lines_of_therapy.line_number,
        best.best_overall_response,
        best.response_date,
        {{ days_between('lines_of_therapy.start_date', 'best.response_date') }} as days_to_response,
        cast(coalesce(best.n_assessments, 0) as int) as n_assessments,
        best.src_rids
    from {{ ref('lines_of_therapy') }} as lines_of_therapy
    left join best
        on
            lines_of_therapy.study_id = best.study_id
            and lines_of_therapy.rule_set_id = best.line_rule_set_id
            and lines_of_therapy.patient_key = best.patient_key
            and lines_of_therapy.line_number = best.line_number
)

select * from final
