-- How far the lines depend on their definition: patients whose answer under a rule set differs from
-- the answer under the study's own.

with first_line_classes as (
    select
        study_id,
        rule_set_id,
        patient_key,
        {{ string_agg_sorted("case when is_targeted then drug_class end", '+') }} as targeted_classes
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
    where is_targeted
    group by study_id, rule_set_id, patient_key, drug_class
),

rule_sets as (
    select
        studies.study_id,
        studies.line_rule_set_id,
        line_rule_sets.rule_set_id
    from {{ ref('studies') }} as studies
    inner join {{ ref('line_rule_sets') }} as own_rule_set
        on studies.line_rule_set_id = own_rule_set.rule_set_id
    inner join {{ ref('line_rule_sets') }} as line_rule_sets
        on own_rule_set.base_rule_set_id = line_rule_sets.base_rule_set_id
),

own_answers as (
    select
        answers.study_id,
        answers.measure,
        answers.patient_key,
        answers.answer
    from patient_measures as answers
    inner join {{ ref('studies') }} as studies
        on answers.study_id = studies.study_id and answers.rule_set_id = studies.line_rule_set_id
    where answers.answer is not null
),

compared as (
    select
        answers.study_id,
        answers.rule_set_id,
        answers.measure,
        count(*) as n_answers,
        count(own_answers.patient_key) as n_both,
        count_if(answers.answer = own_answers.answer) as n_alike
    from patient_measures as answers
    left join own_answers
        on
            answers.study_id = own_answers.study_id
            and answers.measure = own_answers.measure
            and answers.patient_key = own_answers.patient_key
    where answers.answer is not null
    group by answers.study_id, answers.rule_set_id, answers.measure
),

-- Every measure that anybody has an answer to, under any rule set.
measures as (
    select
        compared.study_id,
        compared.measure,
        max(case when compared.rule_set_id = studies.line_rule_set_id then compared.n_answers else 0 end) as n_own
    from compared
    inner join {{ ref('studies') }} as studies
        on compared.study_id = studies.study_id
    group by compared.study_id, compared.measure
),

-- A patient with an answer under one of the two rule sets only differs.
counted as (
    select
        rule_sets.study_id,
        rule_sets.rule_set_id,
        measures.measure,
        measures.n_own + coalesce(compared.n_answers - compared.n_both, 0) as n_patients,
        coalesce(compared.n_alike, 0) as n_alike
    from rule_sets
    inner join measures
        on rule_sets.study_id = measures.study_id
    left join compared
        on
            rule_sets.study_id = compared.study_id
            and rule_sets.rule_set_id = compared.rule_set_id
            and measures.measure = compared.measure
),

final as (
    select
        study_id,
        rule_set_id,
        measure,
        cast(n_patients as int) as n_patients,
        cast(n_patients - n_alike as int) as n_changed
    from counted
)

select * from final
