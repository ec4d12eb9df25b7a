-- What the seeds of a study take for granted of one another; each row is a fault to mend in seeds/studies.
{{ config(meta={'rows_may_be_told': true}) }}

{# seed, what it names, and where that must be found: a column, within the same study or anywhere #}
{% set references = [
    ('studies', 'line_rule_set_id', 'line_rule_sets', 'rule_set_id', 'anywhere'),
    ('studies', 'endpoint_rule_set_id', 'endpoint_rule_sets', 'endpoint_rule_set_id', 'anywhere'),
    ('studies', 'her2_definition_id', 'her2_definitions', 'her2_definition_id', 'anywhere'),
    ('studies', 'disease_code_list', 'code_lists', 'code_list', 'anywhere'),
    ('studies', 'study_id', 'study_criteria', 'study_id', 'anywhere'),
    ('studies', 'study_id', 'study_analyses', 'study_id', 'anywhere'),
    ('study_criteria', 'study_id', 'studies', 'study_id', 'anywhere'),
    ('study_criteria', "case when rule in ('diagnosis_in_code_list', 'no_condition_in_code_list') then argument end", 'code_lists', 'code_list', 'anywhere'),
    ('study_criteria', "case when rule = 'biomarker_status' and argument <> 'HER2' then argument end", 'biomarker_panels', 'biomarker', 'anywhere'),
    ('study_populations', 'study_id', 'studies', 'study_id', 'anywhere'),
    ('study_populations', 'after_criterion', 'study_criteria', 'criterion_id', 'study'),
    ('study_populations', 'variable', 'study_variables', 'variable', 'study'),
    ('study_populations', "variable || ' = ' || level", 'study_variable_levels', "variable || ' = ' || level", 'study'),
    ('study_variables', 'study_id', 'studies', 'study_id', 'anywhere'),
    ('study_variables', "variable || ' = ' || cox_reference", 'study_variable_levels', "variable || ' = ' || level", 'study'),
    ('study_variables', "case when rule in ('ingredient_ever', 'ingredient_line', 'ingredient_line_backbone') then argument end", 'ingredients', 'ingredient', 'anywhere'),
    ('study_variable_levels', 'variable', 'study_variables', 'variable', 'study'),
    ('study_variable_levels', 'named_drug', 'ingredients', 'ingredient', 'anywhere'),
    ('study_backbone_labels', 'study_id', 'studies', 'study_id', 'anywhere'),
    ('study_analyses', 'study_id', 'studies', 'study_id', 'anywhere'),
    ('study_analyses', 'population', 'study_populations', 'population', 'study'),
    ('study_analyses', 'group_variable', 'study_variables', 'variable', 'study'),
    ('study_analyses', "case when kind = 'survival' then group_variable end", 'study_variable_levels', 'variable', 'study'),
    ('study_analyses', 'detail_variable', 'study_variables', 'variable', 'study'),
    ('study_analyses', "group_variable || ' = ' || contrast_level", 'study_variable_levels', "variable || ' = ' || level", 'study'),
    ('study_analyses', 'endpoint', 'endpoint_rule_sets', 'endpoint', 'anywhere'),
    ('study_cautions', 'exhibit', 'study_analyses', 'exhibit', 'study'),
    ('published_results', 'study_id', 'studies', 'study_id', 'anywhere'),
] %}

{%- for seed, named, place, column, within in references %}
{%- set study = "study_id || ', ' || " if within == 'study' else '' %}
select
    '{{ seed }}: {{ place }} has no such {{ column | replace("'", "") | replace("||", "") }}' as fault,
    naming.seed_row
from (
    select
        study_id || ', ' || {{ named }} as seed_row,
        {{ study }}{{ named }} as named
    from {{ ref(seed) }}
) as naming
left join (select {{ study }}{{ column }} as named from {{ ref(place) }}) as places
    on naming.named = places.named
where naming.named is not null and places.named is null
union all
{%- endfor %}
select
    'study_analyses: a comparison of groups needs both contrast and contrast_level' as fault,
    study_id || ', ' || display_order as seed_row
from {{ ref('study_analyses') }}
where group_variable is not null and (contrast is null) <> (contrast_level is null)
