-- What survival_intervals leaves out. A time that cannot be computed is listed with what is known
-- of it, never set to zero.

with end_rows as (
    select
        end_src_rid,
        {{ src_rid_list('end_src_rid') }} as src_rids
    from {{ ref('int_endpoint_intervals') }}
    where refused_because is not null and end_src_rid is not null
    group by end_src_rid
)

select
    lines.study_id,
    lines.line_rule_set_id,
    intervals.endpoint_rule_set_id,
    intervals.endpoint,
    lines.patient_key,
    case when lines.line_number > 0 then lines.line_number end as line_number,
    intervals.refused_because,
    intervals.event,
    intervals.source,
    intervals.start_date,
    intervals.end_date,
    array_sort(
        array_distinct(
            flatten(
                {{ src_rid_lists([
                    'study_index.src_rids',
                    'lines_of_therapy.src_rids',
                    'end_rows.src_rids',
                ]) }}
            )
        )
    ) as src_rids
from {{ ref('int_endpoint_intervals') }} as intervals
inner join {{ ref('int_endpoint_lines') }} as lines
    on intervals.endpoint_line_id = lines.endpoint_line_id
inner join {{ ref('int_study_index') }} as study_index
    on
        lines.study_id = study_index.study_id
        and lines.patient_key = study_index.patient_key
left join {{ ref('lines_of_therapy') }} as lines_of_therapy
    on
        lines.study_id = lines_of_therapy.study_id
        and lines.line_rule_set_id = lines_of_therapy.rule_set_id
        and lines.patient_key = lines_of_therapy.patient_key
        and lines.line_number = lines_of_therapy.line_number
left join end_rows
    on intervals.end_src_rid = end_rows.end_src_rid
where intervals.refused_because is not null
