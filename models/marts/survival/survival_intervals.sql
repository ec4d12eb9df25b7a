-- An endpoint is a composition of event and censor sources (seeds endpoint_rule_sets and
-- endpoint_sources). The earliest event counts; without one, the interval is censored at the last
-- date of the first censor source that has any.
-- Nothing before the start of the line or after the study's data cut-off counts.
-- Months are days / 30.4375.

with lines as (
    select
        lines_of_therapy.study_id,
        lines_of_therapy.rule_set_id as line_rule_set_id,
        lines_of_therapy.patient_key,
        lines_of_therapy.line_number,
        lines_of_therapy.start_date,
        lines_of_therapy.next_line_start_date,
        lines_of_therapy.src_rids as line_src_rids,
        study_index.data_cutoff,
        study_index.last_contact_date,
        study_index.death_undated
    from {{ ref('lines_of_therapy') }} as lines_of_therapy
    inner join {{ ref('int_study_index') }} as study_index
        on
            lines_of_therapy.study_id = study_index.study_id
            and lines_of_therapy.patient_key = study_index.patient_key
),

wanted as (
    select
        lines.*,
        rule_sets.endpoint_rule_set_id,
        rule_sets.endpoint,
        case
            when rule_sets.stop_at_next_line = 'yes'
                then coalesce(lines.next_line_start_date, lines.data_cutoff)
            else lines.data_cutoff
        end as observed_until,
        rule_sets.stop_at_next_line = 'yes' and lines.next_line_start_date is not null
            as stopped_by_next_line
    from lines
    inner join {{ ref('studies') }} as studies
        on lines.study_id = studies.study_id
    inner join {{ ref('endpoint_rule_sets') }} as rule_sets
        on studies.endpoint_rule_set_id = rule_sets.endpoint_rule_set_id
    where rule_sets.endpoint in ('OS', 'PFS')
),

facts as (
    select
        wanted.study_id,
        wanted.line_rule_set_id,
        wanted.endpoint_rule_set_id,
        wanted.endpoint,
        wanted.patient_key,
        wanted.line_number,
        sources.role,
        sources.source,
        sources.precedence,
        dated_facts.src_rid,
        -- Last contact is proof up to the cut-off even when it lies after it.
        case
            when dated_facts.source = 'last_contact'
                then least(dated_facts.fact_date, wanted.observed_until)
            else dated_facts.fact_date
        end as fact_date,
        wanted.start_date,
        wanted.observed_until
    from wanted
    inner join {{ ref('endpoint_sources') }} as sources
        on
            wanted.endpoint_rule_set_id = sources.endpoint_rule_set_id
            and wanted.endpoint = sources.endpoint
    inner join {{ ref('int_dated_facts') }} as dated_facts
        on
            wanted.patient_key = dated_facts.patient_key
            and sources.source = dated_facts.source
),

observed as (
    select *
    from facts
    where
        fact_date <= observed_until
        and (fact_date > start_date or (source <> 'progression' and fact_date = start_date))
),

events as (
    select *
    from observed
    where role = 'event'
    qualify row_number() over (
        partition by
            study_id, line_rule_set_id, endpoint_rule_set_id, endpoint, patient_key, line_number
        order by fact_date, precedence, src_rid
    ) = 1
),

censorings as (
    select *
    from observed
    where role = 'censor'
    qualify row_number() over (
        partition by
            study_id, line_rule_set_id, endpoint_rule_set_id, endpoint, patient_key, line_number
        order by precedence, fact_date desc, src_rid
    ) = 1
),

ended as (
    select
        wanted.*,
        studies.follow_up_complete_within_days,
        events.fact_date is not null as event,
        coalesce(events.source, censorings.source, 'line_start') as source,
        coalesce(events.fact_date, censorings.fact_date, wanted.start_date) as end_date,
        coalesce(events.src_rid, censorings.src_rid) as end_src_rid
    from wanted
    inner join {{ ref('studies') }} as studies
        on wanted.study_id = studies.study_id
    left join events
        on
            wanted.study_id = events.study_id
            and wanted.line_rule_set_id = events.line_rule_set_id
            and wanted.endpoint_rule_set_id = events.endpoint_rule_set_id
            and wanted.endpoint = events.endpoint
            and wanted.patient_key = events.patient_key
            and wanted.line_number = events.line_number
    left join censorings
        on
            wanted.study_id = censorings.study_id
            and wanted.line_rule_set_id = censorings.line_rule_set_id
            and wanted.endpoint_rule_set_id = censorings.endpoint_rule_set_id
            and wanted.endpoint = censorings.endpoint
            and wanted.patient_key = censorings.patient_key
            and wanted.line_number = censorings.line_number
),

final as (
    select
        ended.study_id,
        ended.line_rule_set_id,
        ended.endpoint_rule_set_id,
        ended.endpoint,
        ended.patient_key,
        ended.line_number,
        ended.event,
        ended.source,
        case
            when ended.event then null
            when ended.source = 'line_start' then 'never assessed'
            when ended.source = 'last_tumour_assessment' and ended.stopped_by_next_line
                then 'next line began'
            when ended.source = 'last_tumour_assessment' then 'last tumour assessment'
            when ended.death_undated then 'death date unknown'
            when
                {{ days_between('ended.last_contact_date', 'ended.data_cutoff') }}
                <= ended.follow_up_complete_within_days
                then 'alive at data cut-off'
            else 'lost to follow-up'
        end as censor_reason,
        ended.start_date,
        ended.end_date,
        {{ days_between('ended.start_date', 'ended.end_date') }} as time_days,
        {{ days_between('ended.start_date', 'ended.end_date') }} / 30.4375 as time_months,
        -- `greatest` skips NULL, and no deciding biomarker is not the same as one known at the start.
        case
            when cohort.eligibility_known_date > ended.start_date
                then {{ days_between('ended.start_date', 'cohort.eligibility_known_date') }}
            when cohort.eligibility_known_date is not null then 0
        end as entry_days,
        array_sort(
            array_distinct(
                flatten(
                    {{ src_rid_lists(['ended.line_src_rids', src_rid_list('ended.end_src_rid')]) }}
                )
            )
        ) as src_rids
    from ended
    inner join {{ ref('cohort') }} as cohort
        on
            ended.study_id = cohort.study_id
            and ended.patient_key = cohort.patient_key
)

select * from final
