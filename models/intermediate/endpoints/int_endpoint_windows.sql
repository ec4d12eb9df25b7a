-- Every interval that is wanted, one row a study, rule sets, endpoint, patient and line: where time
-- starts and how long it is observed (seed endpoint_rule_sets). Real-world follow-up for progression
-- (RwPFS, phcanalytics 04cb361) ends at the earliest of the last tumour assessment, evaluable or not,
-- the last visit, and the visit before a gap between visits of more than so many days. FDA (guidance
-- of 2007, appendix 3, table A; 2018, Clinical Trial Endpoints): without a baseline scan the interval
-- is censored at the start. A patient who never began a line stands in line 0 and is refused, not
-- forgotten. An endpoint that rests on a table of which no row was delivered is refused of everybody:
-- without assessments death alone would end it, and who lives would seem free of progression.

with rule_sets as (
    select
        *,
        row_number() over (order by endpoint_rule_set_id, endpoint) as rule_number
    from {{ ref('endpoint_rule_sets') }}
    where endpoint <> 'BOR'
),

delivered as (
    select distinct table_name
    from {{ source('extract', 'files') }}
    where n_records > 0
),

needed as (
    select
        endpoint_rule_set_id,
        endpoint,
        case
            when
                source in ('derived_progression', 'confirmed_progression', 'unrefuted_progression')
                then 'lesion_measurements'
            when source like '%progression' then 'tumour_assessments'
            when source = 'adverse_event' then 'adverse_events'
        end as table_name
    from {{ ref('endpoint_sources') }}
    where role = 'event'
    union all
    select
        endpoint_rule_set_id,
        endpoint,
        'encounters' as table_name
    from rule_sets
    where visit_gap_days is not null
    union all
    select
        endpoint_rule_set_id,
        endpoint,
        'procedures' as table_name
    from rule_sets
    where stop_at = 'new_therapy'
),

without_rows as (
    select distinct
        needed.endpoint_rule_set_id,
        needed.endpoint
    from needed
    left join delivered
        on needed.table_name = delivered.table_name
    where needed.table_name is not null and delivered.table_name is null
),

wanted as (
    select
        lines.endpoint_line_id * 1000 + rule_sets.rule_number as interval_id,
        lines.endpoint_line_id,
        lines.study_id,
        lines.line_rule_set_id,
        lines.patient_key,
        lines.line_number,
        lines.start_date as line_start_date,
        lines.end_date as line_end_date,
        lines.next_line_start_date,
        lines.data_cutoff,
        lines.death_date,
        lines.death_undated,
        lines.is_followed_to_cutoff,
        rule_sets.endpoint_rule_set_id,
        rule_sets.endpoint,
        rule_sets.start_anchor,
        rule_sets.start_day_counts,
        rule_sets.stop_at,
        rule_sets.maximum_days,
        rule_sets.baseline_days_before,
        rule_sets.missed_assessments * rule_sets.assessment_schedule_days
            as longest_assessment_gap_days,
        rule_sets.visit_gap_days,
        rule_sets.death_after_follow_up_days
    from {{ ref('int_endpoint_lines') }} as lines
    inner join rule_sets
        on {{ is_wanted('lines', 'rule_sets') }}
    where lines.line_id = lines.endpoint_line_id
),

responses as (
    select
        wanted.interval_id,
        case wanted.start_anchor
            when 'first_response' then responses.first_response_date
            else responses.confirmed_response_date
        end as response_date,
        responses.src_rids
    from wanted
    inner join {{ ref('best_overall_responses') }} as responses
        on
            wanted.study_id = responses.study_id
            and wanted.line_rule_set_id = responses.line_rule_set_id
            and wanted.endpoint_rule_set_id = responses.endpoint_rule_set_id
            and wanted.patient_key = responses.patient_key
            and wanted.line_number = responses.line_number
    where wanted.start_anchor <> 'line_start'
),

anchored as (
    select
        wanted.*,
        case
            when wanted.start_anchor = 'line_start' then wanted.line_start_date
            else responses.response_date
        end as start_date,
        responses.src_rids as response_src_rids
    from wanted
    left join responses
        on wanted.interval_id = responses.interval_id
),

-- Without a response there is no duration of one, hence no interval and nothing to refuse.
started as (
    select *
    from anchored
    where start_date is not null or (line_number = 0 and start_anchor = 'line_start')
),

followed_lines as (
    select
        interval_id,
        patient_key,
        start_date,
        data_cutoff,
        visit_gap_days
    from started
    where visit_gap_days is not null and line_number > 0
),

-- A scan is a visit, unless it is dated after the death.
visits as (
    select patient_key, start_date as visit_date, src_rid
    from {{ ref('stg_common__encounters') }}
    where encounter_type is distinct from 'telephone'
    union all
    select patient_key, start_date as visit_date, src_rid
    from {{ ref('stg_common__drug_administrations') }}
    where record_status = 'completed'
    union all
    select
        assessments.patient_key,
        assessments.assessment_date as visit_date,
        assessments.src_rid
    from {{ ref('stg_common__tumour_assessments') }} as assessments
    left join {{ ref('int_vital_status') }} as vital_status
        on assessments.patient_key = vital_status.patient_key
    where
        assessments.assessment_date
        <= coalesce(vital_status.death_date, assessments.assessment_date)
),

visit_days as (
    select
        patient_key,
        visit_date,
        min(src_rid) as src_rid,
        lead(visit_date) over (partition by patient_key order by visit_date) as next_visit_date
    from visits
    group by patient_key, visit_date
),

visit_gaps as (
    select
        patient_key,
        visit_date,
        -- The last visit of all ends follow-up as the last one before a gap does.
        coalesce({{ days_between('visit_date', 'next_visit_date') }}, 36525) as gap_days,
        src_rid
    from visit_days
),

followed as (
    select
        followed_lines.interval_id,
        visit_gaps.visit_date as ended_date,
        visit_gaps.src_rid
    from followed_lines
    inner join visit_gaps
        on
            followed_lines.patient_key = visit_gaps.patient_key
            and followed_lines.start_date <= visit_gaps.visit_date
            and followed_lines.visit_gap_days < visit_gaps.gap_days
),

last_assessments as (
    select
        followed_lines.interval_id,
        assessments.assessment_date as ended_date,
        assessments.src_rid
    from followed_lines
    inner join {{ ref('stg_common__tumour_assessments') }} as assessments
        on
            followed_lines.patient_key = assessments.patient_key
            and followed_lines.start_date < assessments.assessment_date
            and followed_lines.data_cutoff >= assessments.assessment_date
    qualify row_number() over (
        partition by followed_lines.interval_id
        order by assessments.assessment_date desc, assessments.src_rid
    ) = 1
),

ends_of_follow_up as (
    select *, 0 as is_assessment from followed
    union all
    select *, 1 as is_assessment from last_assessments
),

follow_up as (
    select
        interval_id,
        min(ended_date) as end_of_follow_up,
        {{ value_at_min(
            'src_rid',
            '2 * ' ~ days_between("cast('1900-01-01' as date)", 'ended_date') ~ ' + is_assessment'
        ) }} as end_of_follow_up_src_rid,
        max(is_assessment) = 1 as was_assessed
    from ends_of_follow_up
    group by interval_id
),

based_lines as (
    select
        interval_id,
        patient_key,
        start_date,
        start_date - baseline_days_before as baseline_from
    from started
    where baseline_days_before is not null and line_number > 0
),

based as (
    select distinct based_lines.interval_id
    from based_lines
    inner join {{ ref('stg_common__tumour_assessments') }} as assessments
        on
            based_lines.patient_key = assessments.patient_key
            and based_lines.baseline_from <= assessments.assessment_date
            and based_lines.start_date >= assessments.assessment_date
            and assessments.modality is distinct from 'clinical'
),

new_therapies as (
    select
        started.interval_id,
        line_facts.fact_date
    from started
    inner join {{ ref('int_line_facts') }} as line_facts
        on
            started.endpoint_line_id = line_facts.endpoint_line_id
            and started.stop_at = 'new_therapy'
            and line_facts.source = 'new_anticancer_therapy'
),

bounds as (
    select
        started.*,
        follow_up.end_of_follow_up,
        follow_up.end_of_follow_up_src_rid,
        follow_up.was_assessed,
        started.line_number > 0
        and started.baseline_days_before is not null
        and based.interval_id is null as lacks_baseline,
        case started.stop_at
            when 'next_line' then started.next_line_start_date
            when 'new_therapy' then new_therapies.fact_date
            when 'line_end' then started.line_end_date
        end as stop_date,
        started.start_date + started.maximum_days as maximum_date
    from started
    left join follow_up
        on started.interval_id = follow_up.interval_id
    left join based
        on started.interval_id = based.interval_id
    left join new_therapies
        on started.interval_id = new_therapies.interval_id
),

-- `least` skips NULL in both engines, which is what is meant here: a bound that does not exist.
observed as (
    select
        *,
        case
            when lacks_baseline then start_date
            else least(data_cutoff, stop_date, maximum_date, end_of_follow_up)
        end as observed_until
    from bounds
),

bounded as (
    select
        *,
        coalesce(observed_until = end_of_follow_up, false)
        and death_after_follow_up_days is not null as is_bounded_by_follow_up
    from observed
),

final as (
    select
        bounded.interval_id,
        bounded.endpoint_line_id,
        bounded.endpoint_rule_set_id,
        bounded.endpoint,
        bounded.patient_key,
        case
            when line_number = 0 then 'no line of therapy began'
            when death_date < start_date then 'died before the start'
            when start_date > data_cutoff then 'starts after the data cut-off'
            when without_rows.endpoint is not null then 'what it rests on was not delivered'
            when visit_gap_days is not null and not coalesce(was_assessed, false)
                then 'never assessed after the start'
            when end_of_follow_up <= start_date then 'not followed after the start'
        end as refused_because,
        case
            when lacks_baseline then 'no baseline assessment'
            when observed_until = end_of_follow_up then 'end of follow-up'
            when observed_until = stop_date and stop_at = 'next_line' then 'next line'
            when observed_until = stop_date and stop_at = 'new_therapy'
                then 'new anticancer therapy'
            when observed_until = stop_date then 'end of the line'
            when observed_until = maximum_date then 'maximum follow-up'
            else 'data cut-off'
        end as bounded_by,
        start_date,
        -- Of who never began a line every fact counts, to show with the refusal.
        coalesce(
            case when start_day_counts = 'yes' then start_date else start_date + 1 end,
            cast('1900-01-01' as date)
        ) as progression_from,
        coalesce(start_date, cast('1900-01-01' as date)) as counted_from,
        observed_until,
        case
            when is_bounded_by_follow_up
                then least(data_cutoff, observed_until + death_after_follow_up_days)
            else observed_until
        end as death_until,
        death_undated,
        is_followed_to_cutoff,
        response_src_rids,
        end_of_follow_up_src_rid,
        longest_assessment_gap_days
    from bounded
    left join without_rows
        on
            bounded.endpoint_rule_set_id = without_rows.endpoint_rule_set_id
            and bounded.endpoint = without_rows.endpoint
)

select * from final
