-- An event belongs to the line under which it began, up to 30 days after the line's last covered day
-- (treatment-emergent, ICH E9 and common protocol practice). Its category is the study's (seed
-- code_lists, adverse_event_category); a term in no category keeps none. What nobody judged unrelated may
-- be an adverse reaction: a relation cannot be ruled out (ICH E2A, II.A.2).

with placed as (
    select
        study_index.study_id,
        study_index.index_date,
        events.*,
        lines.line_number,
        lines.start_date as line_start_date
    from {{ ref('stg_common__adverse_events') }} as events
    inner join {{ ref('int_study_index') }} as study_index
        on
            events.patient_key = study_index.patient_key
            and events.onset_date <= study_index.data_cutoff
    left join {{ ref('int_study_lines') }} as lines
        on
            study_index.study_id = lines.study_id
            and events.patient_key = lines.patient_key
            and events.onset_date >= lines.start_date
            and events.onset_date <= lines.end_date + 30
            and events.onset_date
            < coalesce(lines.next_line_start_date, cast('9999-12-31' as date))
),

final as (
    select
        placed.study_id,
        placed.patient_key,
        placed.event_id,
        placed.term,
        categories.value as category,
        placed.ctcae_version,
        cast(placed.grade as int) as grade,
        case
            when placed.grade in ('1', '2') then '1-2'
            when placed.grade in ('3', '4') then '3-4'
            else '5'
        end as grade_group,
        placed.attribution,
        coalesce(placed.attribution <> 'unrelated', true) as may_be_related,
        cast(placed.line_number as int) as line_number,
        placed.onset_date,
        {{ days_between('placed.index_date', 'placed.onset_date') }} as onset_day,
        {{ days_between('placed.line_start_date', 'placed.onset_date') }} as days_from_line_start,
        {{ src_rid_list('placed.src_rid') }} as src_rids
    from placed
    left join {{ ref('code_lists') }} as categories
        on
            categories.code_list = 'adverse_event_category'
            and categories.code_system = 'ctcae_term'
            and lower(placed.term) = lower(categories.code)
)

select * from final
