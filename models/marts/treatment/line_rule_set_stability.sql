-- How far the lines depend on their definition: patients whose answer under a rule set differs from
-- the answer under the study's own.

with first_line_classes as (
    select
        study_id,
        rule_set_id,
        patient_key,
        {{ string_agg_sorted(
            "case when modality in ('targeted', 'immunotherapy') then drug_class end", '+'
        ) }} as targeted_classes
    from {{ ref('line_components') }}
    where line_number = 1
    group by study_id, rule_set_id, patient_key
),

patient_measures as (
    select
        study_id,
        rule_set_id,
        patient_key,
        'number_of_lines' as measure,
        cast(max(line_number) as string) as answer
    from {{ ref('lines_of_therapy') }}
    group by study_id, rule_set_id, patient_key
    union all
    select
        study_id,
        rule_set_id,
        patient_key,
        'first_line_components' as measure,
        regimen_components as answer
    from {{ ref('lines_of_therapy') }}
    where line_number = 1
    union all
    select
        study_id,
        rule_set_id,
        patient_key,
        'first_line_group' as measure,
        coalesce(targeted_classes, 'none') as answer
    from first_line_classes
    union all
    select
        study_id,
        rule_set_id,
        patient_key,
        'first_line_with_' || drug_class as measure,
        cast(min(line_number) as string) as answer
    from {{ ref('line_components') }}
    where modality in ('targeted', 'immunotherapy')
    group by study_id, rule_set_id, patient_key, drug_class
),

rule_sets as (
    select
        studies.study_id,
        studies.line_rule_set_id,
        line_rule_sets.rule_set_id
    from {{ ref('studies') }} as studies
    inner join {{ ref('line_rule_sets') }} as line_rule_sets
        on studies.line_rule_set_id = line_rule_sets.base_rule_set_id
),

-- Every patient with an answer under any rule set; one without an answer under another differs.
measured as (
    select distinct
        study_id,
        measure,
        patient_key
    from patient_measures
),

compared as (
    select
        rule_sets.study_id,
        rule_sets.rule_set_id,
        measured.measure,
        own_answers.answer as own_answer,
        answers.answer
    from rule_sets
    inner join measured
        on rule_sets.study_id = measured.study_id
    left join patient_measures as own_answers
        on
            rule_sets.study_id = own_answers.study_id
            and rule_sets.line_rule_set_id = own_answers.rule_set_id
            and measured.measure = own_answers.measure
            and measured.patient_key = own_answers.patient_key
    left join patient_measures as answers
        on
            rule_sets.study_id = answers.study_id
            and rule_sets.rule_set_id = answers.rule_set_id
            and measured.measure = answers.measure
            and measured.patient_key = answers.patient_key
),

final as (
    select
        study_id,
        rule_set_id,
        measure,
        cast(count_if(own_answer is not null or answer is not null) as int) as n_patients,
        cast(count_if(own_answer is distinct from answer) as int) as n_changed
    from compared
    group by study_id, rule_set_id, measure
)

select * from final
