-- RECIST 1.1 from the lesion rows (Eisenhauer 2009, sections 3.2.1 and 4.2-4.4, tables 1 and 2;
-- limits in the seed response_criteria), each line of therapy measured against its own baseline:
-- the last visit with lesions in the four weeks up to its start. The sum takes the longest
-- diameter, of lymph nodes the short axis; the nadir is the smallest complete sum of the days
-- before, baseline included. A partial sum can only prove progression. Unequivocal progression of
-- non-target lesions is a judgement, so it is taken from the investigator; everything else is
-- computed.
-- iRECIST (Seymour 2017): a progression is unconfirmed (iUPD) until a later visit of the same
-- block, four weeks on or more, shows more of it (iCPD); any other response between them starts
-- afresh.

with lines as (
    select
        study_lines.study_id,
        study_lines.rule_set_id as line_rule_set_id,
        study_lines.patient_key,
        study_lines.line_number,
        study_lines.start_date,
        study_lines.start_date - criteria.baseline_days_before as baseline_from,
        coalesce(study_lines.next_line_start_date, studies.data_cutoff) as observed_until,
        criteria.partial_response_pct,
        criteria.progression_pct,
        criteria.progression_mm,
        criteria.normal_node_mm,
        criteria.confirmation_days,
        criteria.confirmation_mm
    from {{ ref('int_study_lines') }} as study_lines
    inner join {{ ref('studies') }} as studies
        on study_lines.study_id = studies.study_id
    cross join {{ ref('response_criteria') }} as criteria
    where criteria.response_criteria_id = 'recist_1_1'
),

-- A lesion whose status is not stated was seen if it has a size.
seen_lesions as (
    select
        *,
        case
            when lesion_status = 'disappeared' then false
            when lesion_status in ('present', 'measured', 'too_small') then true
            when lesion_status is null then size_mm > 0
        end as is_seen
    from {{ ref('int_lesions') }}
),

-- Of several rows of a lesion at one visit the largest size stands, and what was seen is there.
measurements as (
    select
        lesions.patient_key,
        lesions.assessment_id,
        lesions.lesion_id,
        max(case when lesions.lesion_role = 'target' then 1 else 0 end) = 1 as is_target,
        max(case when lesions.lesion_role = 'new' then 1 else 0 end) = 1 as is_new,
        bool_or(lesions.is_node) as is_node,
        max(
            case
                when lesions.lesion_status = 'not_evaluable' then null
                when lesions.lesion_status = 'disappeared' then 0
                when lesions.size_mm is not null then lesions.size_mm
                when lesions.lesion_status = 'too_small' then criteria.too_small_mm
            end
        ) as lesion_mm,
        bool_or(lesions.is_seen) as is_seen,
        min(lesions.measured_date) as measured_date,
        {{ src_rids('lesions.src_rid') }} as src_rids
    from seen_lesions as lesions
    cross join {{ ref('response_criteria') }} as criteria
    where criteria.response_criteria_id = 'recist_1_1'
    group by lesions.patient_key, lesions.assessment_id, lesions.lesion_id
),

measured_visits as (
    select distinct
        measurements.patient_key,
        measurements.assessment_id
    from measurements
    where not measurements.is_new
),

baselines as (
    select
        lines.*,
        assessments.assessment_id as baseline_assessment_id,
        assessments.src_rid as baseline_src_rid,
        assessments.assessment_date as baseline_date
    from lines
    inner join {{ ref('stg_common__tumour_assessments') }} as assessments
        on
            lines.patient_key = assessments.patient_key
            and assessments.assessment_date >= lines.baseline_from
            and assessments.assessment_date <= lines.start_date
    inner join measured_visits
        on
            assessments.patient_key = measured_visits.patient_key
            and assessments.assessment_id = measured_visits.assessment_id
    qualify row_number() over (
        partition by lines.study_id, lines.patient_key, lines.line_number
        order by assessments.assessment_date desc, assessments.assessment_id, assessments.src_rid
    ) = 1
),

-- What was new in the line before is there at this baseline: a non-target lesion (RECIST 1.1, 3.2.2).
baseline_lesions as (
    select
        baselines.study_id,
        baselines.patient_key,
        baselines.line_number,
        baselines.normal_node_mm,
        measurements.lesion_id,
        measurements.is_target and not measurements.is_new as is_target,
        measurements.is_node
    from baselines
    inner join measurements
        on
            baselines.patient_key = measurements.patient_key
            and baselines.baseline_assessment_id = measurements.assessment_id
    where not measurements.is_new or coalesce(measurements.is_seen, true)
),

first_sightings as (
    select
        patient_key,
        lesion_id,
        min(measured_date) as first_seen_date
    from measurements
    group by patient_key, lesion_id
),

-- The baseline is a visit like the others, so that sum and nadir have one definition. Of a number
-- that was given twice (STR-003 tolerates few) each row is a visit, with the lesions of both.
visits as (
    select
        baselines.study_id,
        baselines.patient_key,
        baselines.line_number,
        baselines.baseline_assessment_id as assessment_id,
        baselines.baseline_src_rid as assessment_src_rid,
        true as is_baseline
    from baselines
    union all
    select
        lines.study_id,
        lines.patient_key,
        lines.line_number,
        assessments.assessment_id,
        assessments.src_rid as assessment_src_rid,
        false as is_baseline
    from lines
    inner join {{ ref('stg_common__tumour_assessments') }} as assessments
        on
            lines.patient_key = assessments.patient_key
            and assessments.assessment_date > lines.start_date
            and assessments.assessment_date <= lines.observed_until
),

followed_lesions as (
    select
        visits.study_id,
        visits.patient_key,
        visits.line_number,
        visits.assessment_src_rid,
        count_if(baseline_lesions.is_target) as n_target,
        count_if(not baseline_lesions.is_target) as n_non_target,
        count(case when baseline_lesions.is_target then measurements.lesion_mm end) as n_measured,
        sum(case when baseline_lesions.is_target then measurements.lesion_mm end) as sum_mm,
        coalesce(
            max(
                case
                    -- What may be a node proves no complete response.
                    when baseline_lesions.is_target and not coalesce(baseline_lesions.is_node, false)
                        then measurements.lesion_mm
                end
            ),
            0
        ) as largest_non_nodal_mm,
        coalesce(
            bool_or(
                baseline_lesions.is_target
                and baseline_lesions.is_node
                and measurements.lesion_mm >= baseline_lesions.normal_node_mm
            ),
            false
        ) as has_abnormal_node,
        count_if(
            not baseline_lesions.is_target
            and (
                not measurements.is_seen
                or (
                    baseline_lesions.is_node
                    and measurements.lesion_mm < baseline_lesions.normal_node_mm
                )
            )
        ) as n_non_target_gone,
        count_if(
            not baseline_lesions.is_target
            and measurements.is_seen
            and not (
                baseline_lesions.is_node
                and coalesce(measurements.lesion_mm < baseline_lesions.normal_node_mm, false)
            )
        ) as n_non_target_present,
        {{ merged_src_rids('measurements.src_rids') }} as src_rids
    from visits
    inner join baseline_lesions
        on
            visits.study_id = baseline_lesions.study_id
            and visits.patient_key = baseline_lesions.patient_key
            and visits.line_number = baseline_lesions.line_number
    left join measurements
        on
            baseline_lesions.patient_key = measurements.patient_key
            and baseline_lesions.lesion_id = measurements.lesion_id
            and visits.assessment_id = measurements.assessment_id
    group by visits.study_id, visits.patient_key, visits.line_number, visits.assessment_src_rid
),

-- A new lesion that disappeared is new no more; one whose status is not stated was still recorded.
new_lesions as (
    select
        visits.study_id,
        visits.patient_key,
        visits.line_number,
        visits.assessment_src_rid,
        count(*) as n_new_lesions,
        {{ merged_src_rids('measurements.src_rids') }} as src_rids
    from visits
    inner join baselines
        on
            visits.study_id = baselines.study_id
            and visits.patient_key = baselines.patient_key
            and visits.line_number = baselines.line_number
    inner join measurements
        on
            visits.patient_key = measurements.patient_key
            and visits.assessment_id = measurements.assessment_id
            and measurements.is_new
            and coalesce(measurements.is_seen, true)
    inner join first_sightings
        on
            measurements.patient_key = first_sightings.patient_key
            and measurements.lesion_id = first_sightings.lesion_id
            and baselines.baseline_date < first_sightings.first_seen_date
    where not visits.is_baseline
    group by visits.study_id, visits.patient_key, visits.line_number, visits.assessment_src_rid
),

measured as (
    select
        visits.study_id,
        lines.line_rule_set_id,
        visits.patient_key,
        visits.line_number,
        visits.assessment_id,
        visits.is_baseline,
        lines.start_date,
        assessments.assessment_date,
        {{ days_between('lines.start_date', 'assessments.assessment_date') }} as assessment_day,
        baselines.baseline_date is not null as has_baseline,
        lines.partial_response_pct,
        lines.progression_pct,
        lines.progression_mm,
        lines.confirmation_days,
        lines.confirmation_mm,
        cast(coalesce(followed_lesions.n_target, 0) as int) as n_target,
        cast(coalesce(followed_lesions.n_measured, 0) as int) as n_measured,
        coalesce(followed_lesions.n_target, 0) > 0
        and followed_lesions.n_measured = followed_lesions.n_target as is_complete,
        followed_lesions.sum_mm,
        followed_lesions.largest_non_nodal_mm,
        followed_lesions.has_abnormal_node,
        case
            when visits.is_baseline then null
            when assessments.non_target_response = 'PD' then 'PD'
            when coalesce(followed_lesions.n_non_target, 0) = 0 then null
            when followed_lesions.n_non_target_gone = followed_lesions.n_non_target then 'CR'
            when followed_lesions.n_non_target_present > 0 then 'NON-CR/NON-PD'
            else 'NE'
        end as non_target_response,
        cast(coalesce(new_lesions.n_new_lesions, 0) as int) as n_new_lesions,
        not visits.is_baseline
        and (
            coalesce(new_lesions.n_new_lesions, 0) > 0
            or coalesce(assessments.new_lesion, 'no') = 'yes'
        ) as new_lesion,
        assessments.target_response as recorded_target_response,
        assessments.non_target_response as recorded_non_target_response,
        assessments.new_lesion as recorded_new_lesion,
        assessments.overall_response as recorded_response,
        assessments.src_rid,
        array_sort(
            array_distinct(
                flatten(
                    {{ src_rid_lists([
                        src_rid_list('assessments.src_rid'),
                        'followed_lesions.src_rids',
                        'new_lesions.src_rids',
                    ]) }}
                )
            )
        ) as src_rids
    from visits
    inner join lines
        on
            visits.study_id = lines.study_id
            and visits.patient_key = lines.patient_key
            and visits.line_number = lines.line_number
    inner join {{ ref('stg_common__tumour_assessments') }} as assessments
        on
            visits.patient_key = assessments.patient_key
            and visits.assessment_src_rid = assessments.src_rid
    left join baselines
        on
            visits.study_id = baselines.study_id
            and visits.patient_key = baselines.patient_key
            and visits.line_number = baselines.line_number
    left join followed_lesions
        on
            visits.study_id = followed_lesions.study_id
            and visits.patient_key = followed_lesions.patient_key
            and visits.line_number = followed_lesions.line_number
            and visits.assessment_src_rid = followed_lesions.assessment_src_rid
    left join new_lesions
        on
            visits.study_id = new_lesions.study_id
            and visits.patient_key = new_lesions.patient_key
            and visits.line_number = new_lesions.line_number
            and visits.assessment_src_rid = new_lesions.assessment_src_rid
),

compared as (
    select
        *,
        max(case when is_baseline and is_complete then sum_mm end) over line_visits
            as baseline_sum_mm,
        min(case when is_complete then sum_mm end) over earlier_visits as nadir_mm,
        coalesce(
            bool_or(
                is_complete
                and not is_baseline
                and largest_non_nodal_mm = 0
                and not has_abnormal_node
            ) over earlier_visits,
            false
        ) as was_clear
    from measured
    window
        line_visits as (partition by study_id, patient_key, line_number),
        -- Two readings of one day do not grow from one to the other.
        earlier_visits as (
            partition by study_id, patient_key, line_number
            order by assessment_day
            range between unbounded preceding and 1 preceding
        )
),

changes as (
    select
        *,
        round(100.0 * (sum_mm - baseline_sum_mm) / nullif(baseline_sum_mm, 0), 6)
            as change_from_baseline_pct,
        round(100.0 * (sum_mm - nadir_mm) / nullif(nadir_mm, 0), 6) as change_from_nadir_pct
    from compared
),

targets as (
    select
        *,
        case
            when is_baseline or n_target = 0 then null
            when is_complete and largest_non_nodal_mm = 0 and not has_abnormal_node then 'CR'
            when nadir_mm = 0 and sum_mm > 0 then 'PD'
            -- One that comes back after all were gone, a node apart (admiralonco, CRNFL).
            when was_clear and largest_non_nodal_mm > 0 then 'PD'
            when
                round(sum_mm - nadir_mm, 6) >= progression_mm
                and change_from_nadir_pct >= progression_pct
                then 'PD'
            when not is_complete or baseline_sum_mm is null then 'NE'
            when change_from_baseline_pct <= -partial_response_pct then 'PR'
            else 'SD'
        end as target_response
    from changes
),

responses as (
    select
        *,
        case
            when is_baseline or not has_baseline then null
            when target_response = 'PD' or non_target_response = 'PD' or new_lesion then 'PD'
            when target_response = 'CR' and coalesce(non_target_response, 'CR') = 'CR' then 'CR'
            when target_response = 'CR' then 'PR'
            when target_response is not null then target_response
            else coalesce(non_target_response, 'NE')
        end as derived_response
    from targets
),

-- Of several responses of one day the worst stands (best_overall_responses): beside a progression
-- of the day no other response refutes it.
days as (
    select
        *,
        coalesce(
            bool_or(derived_response = 'PD') over (
                partition by study_id, patient_key, line_number, assessment_day
            ),
            false
        ) as has_progression
    from responses
),

blocks as (
    select
        *,
        sum(
            case when derived_response not in ('PD', 'NE') and not has_progression then 1 else 0 end
        ) over (
            partition by study_id, patient_key, line_number
            order by assessment_day
            range between unbounded preceding and current row
        ) as block
    from days
),

unconfirmed as (
    select
        study_id,
        patient_key,
        line_number,
        block,
        assessment_date as unconfirmed_date,
        assessment_date + confirmation_days as confirmable_from,
        -- A sum that lacks a lesion grows when the lesion is measured again.
        case when is_complete then sum_mm end as unconfirmed_sum_mm,
        n_new_lesions as unconfirmed_new_lesions,
        new_lesion as unconfirmed_new_lesion,
        target_response as unconfirmed_target_response,
        non_target_response as unconfirmed_non_target_response
    from blocks
    where derived_response = 'PD'
    qualify row_number() over (
        partition by study_id, patient_key, line_number, block
        order by assessment_date, assessment_id, src_rid
    ) = 1
),

confirmations as (
    select
        blocks.*,
        unconfirmed.unconfirmed_date,
        blocks.derived_response = 'PD'
        and blocks.assessment_date >= unconfirmed.confirmable_from
        and coalesce(
            round(blocks.sum_mm - unconfirmed.unconfirmed_sum_mm, 6) >= blocks.confirmation_mm
            or blocks.n_new_lesions > unconfirmed.unconfirmed_new_lesions
            or (blocks.new_lesion and not unconfirmed.unconfirmed_new_lesion)
            or (
                blocks.target_response = 'PD'
                and unconfirmed.unconfirmed_target_response is distinct from 'PD'
            )
            or (
                blocks.non_target_response = 'PD'
                and unconfirmed.unconfirmed_non_target_response is distinct from 'PD'
            ),
            false
        ) as confirms
    from blocks
    left join unconfirmed
        on
            blocks.study_id = unconfirmed.study_id
            and blocks.patient_key = unconfirmed.patient_key
            and blocks.line_number = unconfirmed.line_number
            and blocks.block = unconfirmed.block
),

irecist as (
    select
        *,
        derived_response = 'PD'
        and bool_or(confirms) over (
            partition by study_id, patient_key, line_number, block
            order by assessment_day
            range between unbounded preceding and current row
        ) as is_confirmed
    from confirmations
),

final as (
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        src_rid as assessment_src_rid,
        is_baseline,
        has_baseline,
        n_target as n_target_lesions,
        n_measured as n_target_lesions_measured,
        n_new_lesions,
        target_response,
        non_target_response,
        new_lesion,
        derived_response,
        nullif(
            concat_ws(
                '; ',
                case when target_response = 'PD' then 'target lesions' end,
                case when non_target_response = 'PD' then 'non-target lesions' end,
                case when new_lesion then 'new lesion' end
            ),
            ''
        ) as progression_because,
        case
            when derived_response is null or derived_response = 'NE' then derived_response
            when is_confirmed then 'iCPD'
            when derived_response = 'PD' then 'iUPD'
            when derived_response = 'NON-CR/NON-PD' then 'NON-iCR/NON-iUPD'
            else 'i' || derived_response
        end as irecist_response,
        recorded_target_response,
        recorded_non_target_response,
        recorded_new_lesion,
        recorded_response,
        start_date,
        assessment_date,
        case when is_confirmed then unconfirmed_date end as irecist_progression_date,
        assessment_day,
        case
            when is_confirmed then {{ days_between('start_date', 'unconfirmed_date') }}
        end as irecist_progression_day,
        sum_mm,
        baseline_sum_mm,
        nadir_mm,
        case when is_complete then change_from_baseline_pct end as change_from_baseline_pct,
        change_from_nadir_pct,
        src_rids
    from irecist
)

select * from final
