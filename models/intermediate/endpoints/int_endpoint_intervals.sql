-- An endpoint is a composition of event and censor sources (seeds endpoint_rule_sets and
-- endpoint_sources). The earliest event counts; without one, the interval is censored at the latest
-- date of its censor sources (admiral, derive_param_tte).
-- Nothing before the start or after the window (int_endpoint_windows) counts.
-- FDA 2018 (Clinical Trial Endpoints): an event after too many missed assessments is not one; the
-- interval is censored at the last assessment before them. Without a baseline there is no event, not
-- even on the first day (guidance of 2007, appendix 3, table A).
-- An interval without an end is refused with its reason, never clipped to zero.

with windows as (
    select * from {{ ref('int_endpoint_windows') }}
),

wanted_sources as (
    select
        windows.interval_id,
        windows.endpoint_line_id,
        windows.patient_key,
        windows.start_date,
        windows.observed_until,
        windows.end_of_follow_up_src_rid,
        sources.role,
        sources.source,
        sources.precedence,
        case
            when sources.source like '%progression' then windows.progression_from
            else windows.counted_from
        end as fact_from,
        case
            when sources.source = 'death' then windows.death_until
            else windows.observed_until
        end as fact_until
    from windows
    inner join {{ ref('endpoint_sources') }} as sources
        on
            windows.endpoint_rule_set_id = sources.endpoint_rule_set_id
            and windows.endpoint = sources.endpoint
    where sources.role = 'censor' or windows.bounded_by <> 'no baseline assessment'
),

patient_facts as (
    select
        wanted_sources.interval_id,
        wanted_sources.role,
        wanted_sources.source,
        wanted_sources.precedence,
        dated_facts.fact_date,
        dated_facts.src_rid
    from wanted_sources
    inner join {{ ref('int_dated_facts') }} as dated_facts
        on
            wanted_sources.patient_key = dated_facts.patient_key
            and wanted_sources.source = dated_facts.source
            and wanted_sources.fact_from <= dated_facts.fact_date
            and wanted_sources.fact_until >= dated_facts.fact_date
),

line_facts as (
    select
        wanted_sources.interval_id,
        wanted_sources.role,
        wanted_sources.source,
        wanted_sources.precedence,
        line_facts.fact_date,
        line_facts.src_rid
    from wanted_sources
    inner join {{ ref('int_line_facts') }} as line_facts
        on
            wanted_sources.endpoint_line_id = line_facts.endpoint_line_id
            and wanted_sources.source = line_facts.source
            and wanted_sources.fact_from <= line_facts.fact_date
            and wanted_sources.fact_until >= line_facts.fact_date
),

-- Last contact is proof up to the end of the window even when it lies after it.
later_contacts as (
    select
        wanted_sources.interval_id,
        wanted_sources.role,
        wanted_sources.source,
        wanted_sources.precedence,
        wanted_sources.fact_until as fact_date,
        dated_facts.src_rid
    from wanted_sources
    inner join {{ ref('int_dated_facts') }} as dated_facts
        on
            wanted_sources.patient_key = dated_facts.patient_key
            and wanted_sources.source = dated_facts.source
            and wanted_sources.fact_until < dated_facts.fact_date
    where wanted_sources.source = 'last_contact'
),

own_facts as (
    select
        interval_id,
        role,
        source,
        precedence,
        case when source = 'line_start' then start_date else observed_until end as fact_date,
        case when source = 'end_of_follow_up' then end_of_follow_up_src_rid end as src_rid
    from wanted_sources
    where source in ('line_start', 'end_of_follow_up') and start_date is not null
),

facts as (
    select * from patient_facts
    union all
    select * from line_facts
    union all
    select * from later_contacts
    union all
    select * from own_facts
),

-- Facts and precedences of an endpoint are distinct, so that their order leaves no ties.
ordered as (
    select
        *,
        100 * {{ days_between("cast('1900-01-01' as date)", 'fact_date') }} as day_order
    from facts
),

first_events as (
    select
        interval_id,
        min(fact_date) as fact_date,
        min_by(source, day_order + precedence) as source,
        {{ value_at_min('src_rid', 'day_order + precedence') }} as src_rid
    from ordered
    where role = 'event'
    group by interval_id
),

censorings as (
    select
        interval_id,
        max(fact_date) as fact_date,
        max_by(source, day_order - precedence) as source,
        {{ value_at_max('src_rid', 'day_order - precedence') }} as src_rid
    from ordered
    where role = 'censor'
    group by interval_id
),

-- Assessments that prove the absence of progression are those that censor; a death on the day of
-- one follows it at once, a progression is that day's finding itself.
watched_events as (
    select
        first_events.interval_id,
        windows.start_date,
        windows.longest_assessment_gap_days,
        first_events.fact_date,
        case
            when first_events.source = 'death' then first_events.fact_date
            else first_events.fact_date - 1
        end as assessed_until
    from first_events
    inner join windows
        on first_events.interval_id = windows.interval_id
    where windows.longest_assessment_gap_days is not null and windows.start_date is not null
),

last_seen as (
    select
        watched_events.interval_id,
        max(ordered.fact_date) as last_seen_date,
        {{ value_at_max('ordered.src_rid', 'ordered.day_order - ordered.precedence') }}
            as last_seen_src_rid,
        max_by(ordered.source, ordered.day_order - ordered.precedence) as last_seen_source
    from watched_events
    inner join ordered
        on
            watched_events.interval_id = ordered.interval_id
            and ordered.role = 'censor'
            and watched_events.assessed_until >= ordered.fact_date
    group by watched_events.interval_id
),

missed as (
    select
        watched_events.interval_id,
        coalesce(last_seen.last_seen_date, watched_events.start_date) as fact_date,
        coalesce(last_seen.last_seen_source, 'line_start') as source,
        last_seen.last_seen_src_rid as src_rid
    from watched_events
    left join last_seen
        on watched_events.interval_id = last_seen.interval_id
    where
        {{ days_between(
            'coalesce(last_seen.last_seen_date, watched_events.start_date)',
            'watched_events.fact_date'
        ) }} > watched_events.longest_assessment_gap_days
),

ended as (
    select
        windows.*,
        missed.interval_id is not null as missed_assessments,
        first_events.interval_id is not null and missed.interval_id is null as event,
        coalesce(missed.source, first_events.source, censorings.source) as source,
        coalesce(missed.fact_date, first_events.fact_date, censorings.fact_date) as end_date,
        case
            when missed.interval_id is not null then missed.src_rid
            when first_events.interval_id is not null then first_events.src_rid
            else censorings.src_rid
        end as end_src_rid
    from windows
    left join first_events
        on windows.interval_id = first_events.interval_id
    left join censorings
        on windows.interval_id = censorings.interval_id
    left join missed
        on windows.interval_id = missed.interval_id
),

final as (
    select
        endpoint_line_id,
        endpoint_rule_set_id,
        endpoint,
        patient_key,
        coalesce(
            refused_because, case when end_date is null then 'nothing known after the start' end
        ) as refused_because,
        event,
        source,
        case
            when event then null
            when missed_assessments then 'missed assessments'
            when bounded_by = 'no baseline assessment' then 'no baseline assessment'
            when source = 'line_start' then 'never assessed'
            when source like 'last_%assessment' and bounded_by = 'next line' then 'next line began'
            when
                source like 'last_%assessment' and bounded_by = 'new anticancer therapy'
                then 'new anticancer therapy'
            when source like 'last_%assessment' then 'last tumour assessment'
            when source = 'end_of_follow_up' then 'end of follow-up'
            when source = 'death' then 'died'
            when
                bounded_by in ('maximum follow-up', 'end of the line')
                and end_date = observed_until
                then bounded_by
            when death_undated then 'death date unknown'
            when is_followed_to_cutoff then 'alive at data cut-off'
            else 'lost to follow-up'
        end as censor_reason,
        bounded_by as observation_ended_by,
        start_date,
        end_date,
        response_src_rids,
        end_src_rid
    from ended
)

select * from final
