-- The dated facts of a line of therapy that endpoints are made of, one row a fact and day. New
-- anticancer therapy is the next line or, before it, an operation, ablation, radiotherapy, a
-- hepatic-artery infusion or a drug given regionally (FDA 2018, Clinical Trial Endpoints: any new
-- anticancer therapy). What was given before the line is none. Treatment ends on the last covered
-- day of a line that is known to have ended (Stewart 2019, JCO Clin Cancer Inform 3:1). Contact
-- ends, for a reverse Kaplan-Meier, only for those not known to have died.

with lines as (
    select *
    from {{ ref('int_endpoint_lines') }}
    where line_id = endpoint_line_id
),

-- Rows of the drugs that began a later line or, kept out of all lines, were given regionally.
later_drugs as (
    select
        lines.endpoint_line_id,
        lines.next_line_start_date,
        exposures.placement,
        exposures.start_date as fact_date,
        administrations.src_rid
    from lines
    inner join {{ ref('int_line_histories') }} as histories
        on
            lines.study_id = histories.study_id
            and lines.line_rule_set_id = histories.rule_set_id
            and lines.patient_key = histories.patient_key
    inner join {{ ref('int_line_layouts') }} as layouts
        on histories.history_id = layouts.history_id
    inner join {{ ref('int_exposure_lines') }} as exposures
        on
            layouts.layout_id = exposures.layout_id
            and lines.start_date < exposures.start_date
            and exposures.placement in ('STARTS_LINE', 'REGIONAL_ROUTE')
    inner join {{ ref('stg_common__drug_administrations') }} as administrations
        on
            lines.patient_key = administrations.patient_key
            and exposures.start_date = administrations.start_date
            and array_contains(exposures.src_rids, administrations.src_rid)
),

next_lines as (
    select
        endpoint_line_id,
        fact_date,
        min(src_rid) as src_rid
    from later_drugs
    where placement = 'STARTS_LINE' and fact_date = next_line_start_date
    group by endpoint_line_id, fact_date
),

local_therapies as (
    select
        lines.endpoint_line_id,
        procedures.procedure_date as fact_date,
        procedures.src_rid
    from lines
    inner join {{ ref('stg_common__procedures') }} as procedures
        on
            lines.patient_key = procedures.patient_key
            and lines.start_date < procedures.procedure_date
    where procedures.procedure_type <> 'other'
    union all
    select
        endpoint_line_id,
        fact_date,
        src_rid
    from later_drugs
    where placement = 'REGIONAL_ROUTE'
),

new_therapies as (
    select * from next_lines
    union all
    select * from local_therapies
),

first_new_therapies as (
    select
        endpoint_line_id,
        fact_date,
        src_rid
    from new_therapies
    qualify row_number() over (
        partition by endpoint_line_id
        order by fact_date, src_rid nulls last
    ) = 1
),

derived as (
    select
        lines.endpoint_line_id,
        assessments.derived_response,
        assessments.irecist_progression_date,
        assessments.assessment_date,
        assessments.assessment_src_rid
    from {{ ref('recist_assessments') }} as assessments
    inner join lines
        on
            assessments.study_id = lines.study_id
            and assessments.line_rule_set_id = lines.line_rule_set_id
            and assessments.patient_key = lines.patient_key
            and assessments.line_number = lines.line_number
    where assessments.derived_response <> 'NE'
),

-- Of several responses of one day the worst stands (best_overall_responses).
refutations as (
    select
        endpoint_line_id,
        assessment_date
    from derived
    group by endpoint_line_id, assessment_date
    having not bool_or(derived_response = 'PD')
),

last_refutations as (
    select
        endpoint_line_id,
        max(assessment_date) as refuted_date
    from refutations
    group by endpoint_line_id
),

-- iRECIST: progression that no later response refuted counts from its first day, confirmed or not.
unrefuted as (
    select
        derived.endpoint_line_id,
        derived.assessment_date,
        derived.assessment_src_rid
    from derived
    left join last_refutations
        on
            derived.endpoint_line_id = last_refutations.endpoint_line_id
    where
        derived.derived_response = 'PD'
        and (
            last_refutations.refuted_date is null
            or derived.assessment_date > last_refutations.refuted_date
        )
),

facts as (
    select
        endpoint_line_id,
        'next_line' as source,
        fact_date,
        src_rid
    from next_lines
    union all
    select
        endpoint_line_id,
        'new_anticancer_therapy' as source,
        fact_date,
        src_rid
    from first_new_therapies
    union all
    select
        endpoint_line_id,
        'treatment_end' as source,
        end_date as fact_date,
        cast(null as bigint) as src_rid
    from lines
    where not is_ongoing
    union all
    select
        endpoint_line_id,
        'end_of_contact' as source,
        last_contact_date as fact_date,
        last_contact_src_rid as src_rid
    from lines
    where death_date is null and not coalesce(death_undated, false)
    union all
    select
        endpoint_line_id,
        'last_derived_assessment' as source,
        assessment_date as fact_date,
        assessment_src_rid as src_rid
    from derived
    union all
    select
        endpoint_line_id,
        'derived_progression' as source,
        assessment_date as fact_date,
        assessment_src_rid as src_rid
    from derived
    where derived_response = 'PD'
    union all
    select
        endpoint_line_id,
        'confirmed_progression' as source,
        irecist_progression_date as fact_date,
        assessment_src_rid as src_rid
    from derived
    where irecist_progression_date is not null
    union all
    select
        endpoint_line_id,
        'unrefuted_progression' as source,
        assessment_date as fact_date,
        assessment_src_rid as src_rid
    from unrefuted
)

select
    endpoint_line_id,
    source,
    fact_date,
    min(src_rid) as src_rid
from facts
group by endpoint_line_id, source, fact_date
