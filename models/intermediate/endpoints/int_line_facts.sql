-- The dated facts of a line of therapy that endpoints are made of, one row a fact and day. New
-- anticancer therapy is the next line or, before it, an operation, ablation, infusion or
-- radiotherapy (FDA 2018, Clinical Trial Endpoints: any new anticancer therapy). What was given
-- before the line is none. Treatment ends on the last covered day of a line that is known to have
-- ended (Stewart 2019, JCO Clin Cancer Inform 3:1). Contact ends, for a reverse Kaplan-Meier, only
-- for those not known to have died.

with lines as (
    select
        lines_of_therapy.study_id,
        lines_of_therapy.rule_set_id as line_rule_set_id,
        lines_of_therapy.patient_key,
        lines_of_therapy.line_number,
        lines_of_therapy.start_date,
        lines_of_therapy.end_date,
        lines_of_therapy.next_line_start_date,
        lines_of_therapy.is_ongoing,
        study_index.death_date,
        study_index.last_contact_date,
        study_index.last_contact_src_rid
    from {{ ref('lines_of_therapy') }} as lines_of_therapy
    inner join {{ ref('int_study_index') }} as study_index
        on
            lines_of_therapy.study_id = study_index.study_id
            and lines_of_therapy.patient_key = study_index.patient_key
),

treatment_days as (
    select
        patient_key,
        start_date,
        min(src_rid) as src_rid
    from {{ ref('stg_common__drug_administrations') }}
    where record_status = 'completed'
    group by patient_key, start_date
),

next_lines as (
    select
        lines.study_id,
        lines.line_rule_set_id,
        lines.patient_key,
        lines.line_number,
        lines.next_line_start_date as fact_date,
        treatment_days.src_rid
    from lines
    left join treatment_days
        on
            lines.patient_key = treatment_days.patient_key
            and lines.next_line_start_date = treatment_days.start_date
    where lines.next_line_start_date is not null
),

local_therapies as (
    select
        lines.study_id,
        lines.line_rule_set_id,
        lines.patient_key,
        lines.line_number,
        procedures.procedure_date as fact_date,
        procedures.src_rid
    from lines
    inner join {{ ref('stg_common__procedures') }} as procedures
        on
            lines.patient_key = procedures.patient_key
            and lines.start_date < procedures.procedure_date
    where procedures.procedure_type <> 'other'
),

new_therapies as (
    select * from next_lines
    union all
    select * from local_therapies
),

first_new_therapies as (
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        fact_date,
        src_rid
    from new_therapies
    qualify row_number() over (
        partition by study_id, line_rule_set_id, patient_key, line_number
        order by fact_date, src_rid nulls last
    ) = 1
),

derived as (
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        derived_response,
        irecist_progression_date,
        assessment_date,
        assessment_src_rid
    from {{ ref('recist_assessments') }}
    where derived_response <> 'NE'
),

last_refutations as (
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        max(assessment_date) as refuted_date
    from derived
    where derived_response <> 'PD'
    group by study_id, line_rule_set_id, patient_key, line_number
),

-- iRECIST: progression that no later response refuted counts from its first day, confirmed or not.
unrefuted as (
    select
        derived.study_id,
        derived.line_rule_set_id,
        derived.patient_key,
        derived.line_number,
        derived.assessment_date,
        derived.assessment_src_rid
    from derived
    left join last_refutations
        on
            derived.study_id = last_refutations.study_id
            and derived.line_rule_set_id = last_refutations.line_rule_set_id
            and derived.patient_key = last_refutations.patient_key
            and derived.line_number = last_refutations.line_number
    where
        derived.derived_response = 'PD'
        and (
            last_refutations.refuted_date is null
            or derived.assessment_date > last_refutations.refuted_date
        )
),

facts as (
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'next_line' as source,
        fact_date,
        src_rid
    from next_lines
    union all
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'new_anticancer_therapy' as source,
        fact_date,
        src_rid
    from first_new_therapies
    union all
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'treatment_end' as source,
        end_date as fact_date,
        cast(null as bigint) as src_rid
    from lines
    where not is_ongoing
    union all
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'end_of_contact' as source,
        last_contact_date as fact_date,
        last_contact_src_rid as src_rid
    from lines
    where death_date is null
    union all
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'last_derived_assessment' as source,
        assessment_date as fact_date,
        assessment_src_rid as src_rid
    from derived
    union all
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'derived_progression' as source,
        assessment_date as fact_date,
        assessment_src_rid as src_rid
    from derived
    where derived_response = 'PD'
    union all
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'confirmed_progression' as source,
        irecist_progression_date as fact_date,
        assessment_src_rid as src_rid
    from derived
    where irecist_progression_date is not null
    union all
    select
        study_id,
        line_rule_set_id,
        patient_key,
        line_number,
        'unrefuted_progression' as source,
        assessment_date as fact_date,
        assessment_src_rid as src_rid
    from unrefuted
)

select
    study_id,
    line_rule_set_id,
    patient_key,
    line_number,
    source,
    fact_date,
    min(src_rid) as src_rid
from facts
group by study_id, line_rule_set_id, patient_key, line_number, source, fact_date
