-- The intervals that have an end; the others are in refused_intervals.
-- Months are days / 30.4375. Time counts no day twice: a month that begins and ends on a first is
-- 31 days, where CDISC's convention (end - start + 1) would say 32.

select
    lines.study_id,
    lines.line_rule_set_id,
    intervals.endpoint_rule_set_id,
    intervals.endpoint,
    lines.patient_key,
    lines.line_number,
    intervals.event,
    intervals.source,
    intervals.censor_reason,
    intervals.observation_ended_by,
    intervals.start_date,
    intervals.end_date,
    {{ days_between('intervals.start_date', 'intervals.end_date') }} as time_days,
    {{ days_between('intervals.start_date', 'intervals.end_date') }}
    / cast(30.4375 as double) as time_months,
    -- `greatest` skips NULL, and nothing to wait for is not the same as eligible at the start.
    case
        when cohort.eligibility_known_date > intervals.start_date
            then {{ days_between('intervals.start_date', 'cohort.eligibility_known_date') }}
        when cohort.eligibility_known_date is not null then 0
    end as entry_days,
    case
        when intervals.response_src_rids is not null
            then array_sort(
                array_distinct(
                    flatten(
                        {{ src_rid_lists([
                            'lines_of_therapy.src_rids',
                            'intervals.response_src_rids',
                            'case when intervals.end_src_rid is not null then '
                            ~ src_rid_list('intervals.end_src_rid') ~ ' end',
                        ]) }}
                    )
                )
            )
        when intervals.end_src_rid is null then lines_of_therapy.src_rids
        when array_contains(lines_of_therapy.src_rids, intervals.end_src_rid)
            then lines_of_therapy.src_rids
        else
            array_sort(
                flatten(
                    {{ src_rid_lists([
                        'lines_of_therapy.src_rids',
                        src_rid_list('intervals.end_src_rid'),
                    ]) }}
                )
            )
    end as src_rids
from {{ ref('int_endpoint_intervals') }} as intervals
inner join {{ ref('int_endpoint_lines') }} as lines
    on intervals.endpoint_line_id = lines.endpoint_line_id
inner join {{ ref('cohort') }} as cohort
    on
        lines.study_id = cohort.study_id
        and lines.patient_key = cohort.patient_key
inner join {{ ref('lines_of_therapy') }} as lines_of_therapy
    on
        lines.study_id = lines_of_therapy.study_id
        and lines.line_rule_set_id = lines_of_therapy.rule_set_id
        and lines.patient_key = lines_of_therapy.patient_key
        and lines.line_number = lines_of_therapy.line_number
where intervals.refused_because is null
