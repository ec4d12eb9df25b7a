-- The lines that endpoints are measured from. Rule sets agree on most lines of a patient; lines of
-- other rule sets than the study's own that begin, end and go on alike share an
-- `endpoint_line_id`, under which they are followed once. A patient who never began a line stands
-- in line 0. Other line rule sets are followed for whom the study asks its sensitivity analyses of
-- (seed studies, sensitivity_patients).

with own_lines as (
    select
        study_index.study_id,
        studies.line_rule_set_id,
        studies.endpoint_rule_set_id,
        studies.sensitivity_patients = 'all' or cohort.included as in_sensitivity,
        study_index.patient_key,
        study_index.data_cutoff,
        study_index.death_date,
        study_index.death_undated,
        study_index.last_contact_date,
        study_index.is_followed_to_cutoff,
        study_index.last_contact_src_rid
    from {{ ref('int_study_index') }} as study_index
    inner join {{ ref('studies') }} as studies
        on study_index.study_id = studies.study_id
    inner join {{ ref('cohort') }} as cohort
        on
            study_index.study_id = cohort.study_id
            and study_index.patient_key = cohort.patient_key
),

untreated as (
    select own_lines.*
    from own_lines
    left join {{ ref('int_study_lines') }} as study_lines
        on
            own_lines.study_id = study_lines.study_id
            and own_lines.patient_key = study_lines.patient_key
    where study_lines.patient_key is null
),

lines as (
    select
        own_lines.study_id,
        lines_of_therapy.rule_set_id as line_rule_set_id,
        own_lines.line_rule_set_id = lines_of_therapy.rule_set_id as is_own,
        own_lines.endpoint_rule_set_id,
        own_lines.in_sensitivity,
        own_lines.patient_key,
        lines_of_therapy.line_number,
        lines_of_therapy.start_date,
        lines_of_therapy.end_date,
        lines_of_therapy.next_line_start_date,
        lines_of_therapy.is_ongoing,
        own_lines.data_cutoff,
        own_lines.death_date,
        own_lines.death_undated,
        own_lines.last_contact_date,
        own_lines.is_followed_to_cutoff,
        own_lines.last_contact_src_rid
    from own_lines
    inner join {{ ref('lines_of_therapy') }} as lines_of_therapy
        on
            own_lines.study_id = lines_of_therapy.study_id
            and own_lines.patient_key = lines_of_therapy.patient_key
    where
        own_lines.line_rule_set_id = lines_of_therapy.rule_set_id
        or own_lines.in_sensitivity
    union all
    select
        study_id,
        line_rule_set_id,
        true as is_own,
        endpoint_rule_set_id,
        in_sensitivity,
        patient_key,
        0 as line_number,
        cast(null as date) as start_date,
        cast(null as date) as end_date,
        cast(null as date) as next_line_start_date,
        cast(null as boolean) as is_ongoing,
        data_cutoff,
        death_date,
        death_undated,
        last_contact_date,
        is_followed_to_cutoff,
        last_contact_src_rid
    from untreated
),

numbered as (
    select
        *,
        cast(
            row_number() over (
                order by study_id, line_rule_set_id, patient_key, line_number
            ) as bigint
        ) as line_id
    from lines
),

final as (
    select
        *,
        min(line_id) over (
            partition by
                study_id,
                patient_key,
                is_own,
                start_date,
                end_date,
                next_line_start_date,
                is_ongoing
        ) as endpoint_line_id
    from numbered
)

select * from final
