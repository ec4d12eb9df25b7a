-- A line's backbone is its cytotoxic drugs, named as the study names them (seed study_backbone_labels),
-- plus any targeted drug that the study's groups do not name themselves.
-- A line belongs to a targeted class of the study's groups when it has drugs of that one and of no other
-- of these; drugs of a class that no group names change nothing (the study: cetuximab and vemurafenib are
-- cetuximab), unless there is no other targeted drug. A trial's drug is taken for a targeted one: a line
-- with it is not chemotherapy alone.

{% set characteristics = [
    'age_at_index', 'sex', 'primary_side', 'differentiation', 'metastatic_pattern',
    'metastatic_organs', 'liver_metastasis', 'primary_resection', 'metastasectomy', 'local_therapy',
    'adjuvant_chemotherapy', 'her2_status', 'ras_braf_status', 'number_of_lines',
] %}

with variables as (
    select * from {{ ref('study_variables') }}
),

levels as (
    select * from {{ ref('study_variable_levels') }}
),

components as (
    select line_components.*
    from {{ ref('line_components') }} as line_components
    inner join {{ ref('studies') }} as studies
        on
            line_components.study_id = studies.study_id
            and line_components.rule_set_id = studies.line_rule_set_id
),

characteristic_values as (
    {%- for characteristic in characteristics %}
    select
        study_id,
        patient_key,
        '{{ characteristic }}' as argument,
        cast({{ characteristic }} as string) as value
    from {{ ref('patient_characteristics') }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

ingredient_lines as (
    select
        study_id,
        patient_key,
        ingredient,
        min(line_number) as line_number
    from components
    group by study_id, patient_key, ingredient
),

group_drugs as (
    select distinct
        study_id,
        named_drug
    from levels
    where named_drug is not null
),

group_classes as (
    select distinct
        variables.study_id,
        levels.source_value as drug_class
    from variables
    inner join levels
        on
            variables.study_id = levels.study_id
            and variables.variable = levels.variable
    where
        variables.rule = 'line_class'
        and levels.named_drug is not null
),

line_drugs as (
    select
        components.study_id,
        components.patient_key,
        components.line_number,
        {{ string_agg_sorted("case when components.modality = 'cytotoxic' then components.ingredient end", '+') }}
            as cytotoxics,
        {{ string_agg_sorted("case when components.modality <> 'cytotoxic' and group_drugs.named_drug is null then components.ingredient end", '+') }}
            as unnamed_drugs,
        count(distinct group_classes.drug_class) as group_class_count,
        min(group_classes.drug_class) as group_class,
        count_if(components.modality <> 'cytotoxic') > 0 as has_targeted
    from components
    left join group_drugs
        on
            components.study_id = group_drugs.study_id
            and components.ingredient = group_drugs.named_drug
    left join group_classes
        on
            components.study_id = group_classes.study_id
            and components.drug_class = group_classes.drug_class
    group by components.study_id, components.patient_key, components.line_number
),

lines as (
    select
        line_drugs.study_id,
        line_drugs.patient_key,
        line_drugs.line_number,
        case
            when line_drugs.group_class_count = 1 then line_drugs.group_class
            when line_drugs.has_targeted then 'several'
            else 'none'
        end as line_class,
        nullif(
            concat_ws(
                '+',
                coalesce(labels.label, line_drugs.cytotoxics),
                line_drugs.unnamed_drugs
            ),
            ''
        ) as backbone
    from line_drugs
    left join {{ ref('study_backbone_labels') }} as labels
        on
            line_drugs.study_id = labels.study_id
            and line_drugs.cytotoxics = labels.components
),

valued as (
    select
        variables.study_id,
        variables.variable,
        characteristic_values.patient_key,
        characteristic_values.value
    from variables
    inner join characteristic_values
        on
            variables.study_id = characteristic_values.study_id
            and variables.argument = characteristic_values.argument
    where variables.rule = 'characteristic'
    union all
    select
        variables.study_id,
        variables.variable,
        study_index.patient_key,
        case when ingredient_lines.patient_key is not null then 'yes' else 'no' end as value
    from variables
    inner join {{ ref('int_study_index') }} as study_index
        on variables.study_id = study_index.study_id
    left join ingredient_lines
        on
            study_index.study_id = ingredient_lines.study_id
            and study_index.patient_key = ingredient_lines.patient_key
            and variables.argument = ingredient_lines.ingredient
    where variables.rule = 'ingredient_ever'
    union all
    select
        variables.study_id,
        variables.variable,
        ingredient_lines.patient_key,
        case
            when variables.rule = 'ingredient_line' then cast(ingredient_lines.line_number as string)
            else lines.backbone
        end as value
    from variables
    inner join ingredient_lines
        on
            variables.study_id = ingredient_lines.study_id
            and variables.argument = ingredient_lines.ingredient
    inner join lines
        on
            ingredient_lines.study_id = lines.study_id
            and ingredient_lines.patient_key = lines.patient_key
            and ingredient_lines.line_number = lines.line_number
    where variables.rule in ('ingredient_line', 'ingredient_line_backbone')
    union all
    select
        variables.study_id,
        variables.variable,
        lines.patient_key,
        case when variables.rule = 'line_class' then lines.line_class else lines.backbone end as value
    from variables
    inner join lines
        on
            variables.study_id = lines.study_id
            and try_cast(variables.argument as int) = lines.line_number
    where variables.rule in ('line_class', 'line_backbone')
),

has_levels as (
    select distinct
        study_id,
        variable
    from levels
),

ranges as (
    select
        study_id,
        variable,
        level,
        level_order,
        coalesce(minimum, -1e9) as minimum,
        coalesce(maximum, 1e9) as maximum
    from levels
    where source_value is null
),

final as (
    select
        valued.study_id,
        valued.patient_key,
        valued.variable,
        valued.value,
        case
            when has_levels.variable is null then valued.value
            else coalesce(levels.level, ranges.level)
        end as level,
        coalesce(levels.level_order, ranges.level_order) as level_order
    from valued
    left join has_levels
        on
            valued.study_id = has_levels.study_id
            and valued.variable = has_levels.variable
    left join levels
        on
            valued.study_id = levels.study_id
            and valued.variable = levels.variable
            and valued.value = levels.source_value
    left join ranges
        on
            valued.study_id = ranges.study_id
            and valued.variable = ranges.variable
            and try_cast(valued.value as double) >= ranges.minimum
            and try_cast(valued.value as double) <= ranges.maximum
    where valued.value is not null
)

select * from final
