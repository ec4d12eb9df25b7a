-- What the seeds of a study take for granted of one another; each row is a fault to mend in seeds/studies.
{{ config(meta={'rows_may_be_told': true}) }}

{# seed, what it names, and where that must be found: a column, within the same study or anywhere; a
   rule set is of no study #}
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
    ('study_analyses', "case when kind = 'count_within' then detail_variable || ' = ' || detail_level end", 'study_variable_levels', "variable || ' = ' || level", 'study'),
    ('study_cautions', 'exhibit', 'study_analyses', 'exhibit', 'study'),
    ('study_cautions', 'variable', 'study_variables', 'variable', 'study'),
    ('endpoint_sources', "endpoint_rule_set_id || ', ' || endpoint", 'endpoint_rule_sets', "endpoint_rule_set_id || ', ' || endpoint", 'rule set'),
    ('endpoint_rule_sets', "case when endpoint <> 'BOR' then endpoint_rule_set_id || ', ' || endpoint end", 'endpoint_sources', "endpoint_rule_set_id || ', ' || endpoint", 'rule set'),
    ('published_results', 'study_id', 'studies', 'study_id', 'anywhere'),
] %}

{# seed, what names a row and is there once, and what else may not be empty #}
{% set filled = [
    ('studies', ['study_id'], ['title', 'disease_code_list', 'period_start', 'data_cutoff', 'line_rule_set_id', 'endpoint_rule_set_id', 'sensitivity_patients', 'her2_definition_id', 'synchronous_within_days', 'follow_up_complete_within_days']),
    ('study_criteria', ['study_id', 'criterion_id'], ['step', 'label', 'rule', 'wanted']),
    ('study_variables', ['study_id', 'variable'], ['label', 'rule', 'argument', 'display_order', 'in_table1', 'in_univariable']),
    ('study_variable_levels', ['study_id', 'variable', 'level'], ['level_order']),
    ('study_backbone_labels', ['study_id', 'components'], ['label']),
    ('study_populations', ['study_id', 'population'], ['label']),
    ('study_analyses', ['study_id', 'display_order'], ['exhibit', 'kind', 'population', 'title']),
    ('study_cautions', ['study_id', 'exhibit', 'caution'], []),
    ('published_results', ['study_id', 'result_id'], ['exhibit', 'population', 'variable', 'statistic', 'printed', 'decimals', 'status']),
    ('endpoint_rule_sets', ['endpoint_rule_set_id', 'endpoint'], ['label', 'line_rule_sets', 'start_anchor', 'start_day_counts', 'stop_at']),
    ('endpoint_sources', ['endpoint_rule_set_id', 'endpoint', 'source'], ['role', 'precedence']),
] %}

{# seed, what names a row, and numbers of days that count from 0 #}
{% set days = [
    ('studies', ['study_id'], ['synchronous_within_days', 'follow_up_complete_within_days']),
    ('study_criteria', ['study_id', 'criterion_id'], ['days_before', 'days_after']),
    ('endpoint_rule_sets', ['endpoint_rule_set_id', 'endpoint'], ['maximum_days', 'baseline_days_before', 'missed_assessments', 'assessment_schedule_days', 'visit_gap_days', 'death_after_follow_up_days', 'minimum_stable_days', 'confirmation_days', 'max_not_evaluable_between']),
] %}

{% set of_response = ['response_source', 'stop_at_progression', 'minimum_stable_days', 'confirmation_days', 'max_not_evaluable_between', 'accept_stable_between', 'missing_is_not_evaluable'] %}

{# column of study_analyses, the kinds that need it, and further kinds that may have it #}
{% set asked = [
    ('endpoint', ['follow_up', 'response_duration', 'survival', 'cumulative_incidence', 'univariable', 'cox', 'univariable_ratios', 'imputation', 'weighting', 'e_values', 'line_rule_sets', 'endpoint_rule_sets'], []),
    ('group_variable', ['quantity', 'count_within', 'cross_count', 'response', 'adverse_events', 'swimmer', 'line_transitions', 'line_reasons', 'characteristics_by_group', 'missingness', 'weighting', 'e_values'], ['survival', 'cumulative_incidence', 'line_rule_sets', 'endpoint_rule_sets']),
    ('detail_variable', ['count_within', 'cross_count'], []),
    ('detail_level', ['count_within'], []),
    ('contrast', ['weighting'], ['survival', 'line_rule_sets', 'endpoint_rule_sets']),
    ('contrast_level', ['weighting'], ['survival', 'line_rule_sets', 'endpoint_rule_sets']),
    ('pairwise', [], ['survival']),
    ('landmark_months', [], ['survival']),
    ('covariates', ['weighting'], ['imputation']),
] %}

{# kinds of numbers that the text cites; every other kind is a table or a figure #}
{% set of_text = ['population_size', 'quantity', 'follow_up'] %}

{# characteristic, or rule, and the values that it can have (patient_characteristics) #}
{% set source_values = [
    ('sex', ['male', 'female']),
    ('primary_side', ['left', 'right']),
    ('differentiation', ['well', 'moderate', 'poor', 'undifferentiated']),
    ('metastatic_pattern', ['synchronous', 'metachronous']),
    ('liver_metastasis', ['yes', 'no']),
    ('primary_resection', ['yes', 'no']),
    ('metastasectomy', ['yes', 'no']),
    ('local_therapy', ['yes', 'no']),
    ('adjuvant_chemotherapy', ['yes', 'no']),
    ('her2_status', ['positive', 'negative', 'unknown']),
    ('ras_braf_status', ['mutated', 'wild_type', 'unknown']),
    ('ingredient_ever', ['yes', 'no']),
] %}
{% set numbers = ['age_at_index', 'metastatic_organs', 'number_of_lines', 'ingredient_line'] %}

{%- for seed, named, place, column, within in references %}
{%- set study = "study_id || ', ' || " if within == 'study' else '' %}
select
    '{{ seed }}: {{ place }} has no such {{ column | replace(" || ' = ' || ", " = ") | replace(" || ', ' || ", " and ") }}' as fault,
    naming.seed_row
from (
    select
        {{ '' if within == 'rule set' else "study_id || ', ' || " }}{{ named }} as seed_row,
        {{ study }}{{ named }} as named
    from {{ ref(seed) }}
) as naming
left join (select {{ study }}{{ column }} as named from {{ ref(place) }}) as places
    on naming.named = places.named
where naming.named is not null and places.named is null
union all
{%- endfor %}
{%- for seed, names, columns in filled %}
select
    '{{ seed }}: may not be empty, ' || case
        {%- for column in names + columns %}
        when {{ column }} is null then '{{ column }}'
        {%- endfor %}
    end as fault,
    concat_ws(', ', {{ names | join(', ') }}) as seed_row
from {{ ref(seed) }}
where {{ (names + columns) | join(' is null or ') }} is null
union all
select
    '{{ seed }}: more than one row of the same {{ names | join(", ") }}' as fault,
    concat_ws(', ', {{ names | join(', ') }}) as seed_row
from {{ ref(seed) }}
group by {{ names | join(', ') }}
having count(*) > 1
union all
{%- endfor %}
{%- for seed, names, columns in days %}
select
    '{{ seed }}: less than 0, one of {{ columns | join(", ") }}' as fault,
    concat_ws(', ', {{ names | join(', ') }}) as seed_row
from {{ ref(seed) }}
where least({{ columns | join(', ') }}) < 0
union all
{%- endfor %}
{%- for column, needed, allowed in asked %}
select
    'study_analyses: ' || kind || case
        when {{ column }} is null then ' needs {{ column }}' else ' takes no {{ column }}'
    end as fault,
    study_id || ', ' || display_order as seed_row
from {{ ref('study_analyses') }}
where
    ({{ column }} is null and kind in ('{{ needed | join("', '") }}'))
    or ({{ column }} is not null and kind not in ('{{ (needed + allowed) | join("', '") }}'))
union all
{%- endfor %}
select
    'study_analyses: pairwise and landmark_months need a group_variable' as fault,
    study_id || ', ' || display_order as seed_row
from {{ ref('study_analyses') }}
where group_variable is null and coalesce(pairwise, landmark_months) is not null
union all
select
    'study_analyses: ' || kind || ' of a group_variable needs contrast and contrast_level' as fault,
    study_id || ', ' || display_order as seed_row
from {{ ref('study_analyses') }}
where
    kind in ('line_rule_sets', 'endpoint_rule_sets')
    and group_variable is not null
    and contrast_level is null
union all
select
    'study_analyses: exhibit is ' || case
        when kind in ('{{ of_text | join("', '") }}') then 'text' else 'tableN, figN, tableSN or figSN'
    end || ' of ' || kind as fault,
    study_id || ', ' || display_order || ', ' || exhibit as seed_row
from {{ ref('study_analyses') }}
where
    case
        when kind in ('{{ of_text | join("', '") }}') then exhibit <> 'text'
        else exhibit like '% %' or not (exhibit like 'table_%' or exhibit like 'fig_%')
    end
union all
select
    'study_analyses: an exhibit cannot show such rows together; give each one of its own' as fault,
    study_id || ', ' || exhibit as seed_row
from (
    select
        *,
        case
            when kind in ('characteristics', 'count_within') then 'characteristics'
            when kind in ('line_rule_set_changes', 'line_rule_sets', 'endpoint_rule_sets') then 'rule sets'
            else kind
        end as shown_as
    from {{ ref('study_analyses') }}
    where exhibit <> 'text'
) as analyses
group by study_id, exhibit
having
    count(distinct shown_as) > 1
    or (count(distinct endpoint) > 1 and min(shown_as) = 'cumulative_incidence')
    or (count(distinct population) > 1 and min(shown_as) not in ('cross_count', 'rule sets'))
    or (
        count(*) > 1
        and min(shown_as) not in ('characteristics', 'survival', 'cumulative_incidence', 'cross_count', 'rule sets')
    )
union all
select
    'study_analyses: count_within needs a row of kind characteristics in its exhibit' as fault,
    study_id || ', ' || exhibit as seed_row
from {{ ref('study_analyses') }}
where kind in ('characteristics', 'count_within')
group by study_id, exhibit
having min(kind) = 'count_within'
union all
select
    'study_analyses: the endpoint rule set of the study (studies) has no such endpoint' as fault,
    analyses.study_id || ', ' || analyses.display_order || ', ' || analyses.endpoint as seed_row
from {{ ref('study_analyses') }} as analyses
inner join {{ ref('studies') }} as studies
    on analyses.study_id = studies.study_id
left join {{ ref('endpoint_rule_sets') }} as rule_sets
    on
        studies.endpoint_rule_set_id = rule_sets.endpoint_rule_set_id
        and analyses.endpoint = rule_sets.endpoint
where analyses.endpoint is not null and rule_sets.endpoint is null
union all
select
    'study_analyses: ' || analyses.kind || ' needs a variable of rule ' || case analyses.kind
        when 'response' then 'ingredient_line' else 'line_class'
    end as fault,
    analyses.study_id || ', ' || analyses.display_order || ', ' || analyses.group_variable as seed_row
from {{ ref('study_analyses') }} as analyses
inner join {{ ref('study_variables') }} as variables
    on
        analyses.study_id = variables.study_id
        and analyses.group_variable = variables.variable
where
    (analyses.kind = 'response' and variables.rule <> 'ingredient_line')
    or (analyses.kind in ('swimmer', 'line_transitions', 'line_reasons') and variables.rule <> 'line_class')
union all
select
    'study_populations: a level of a variable needs both variable and level' as fault,
    study_id || ', ' || population as seed_row
from {{ ref('study_populations') }}
where (variable is null) <> (level is null)
union all
select
    'endpoint_rule_sets: BOR needs {{ of_response | join(", ") }}' as fault,
    endpoint_rule_set_id as seed_row
from {{ ref('endpoint_rule_sets') }}
where endpoint = 'BOR' and ({{ of_response | join(' is null or ') }} is null)
union all
select
    'study_variables: argument is the number of a line' as fault,
    study_id || ', ' || variable || ', ' || argument as seed_row
from {{ ref('study_variables') }}
where rule in ('line_class', 'line_backbone') and coalesce(try_cast(argument as int), 0) < 1
union all
select
    'study_criteria: argument of treatment_cycles is the number of a line' as fault,
    study_id || ', ' || criterion_id as seed_row
from {{ ref('study_criteria') }}
where rule = 'treatment_cycles' and coalesce(try_cast(argument as int), 0) < 1
union all
select
    'study_criteria: argument of consent_given is research or care' as fault,
    study_id || ', ' || criterion_id as seed_row
from {{ ref('study_criteria') }}
where rule = 'consent_given' and coalesce(argument, '') not in ('research', 'care')
union all
select
    'study_criteria: ' || rule || ' needs an argument' as fault,
    study_id || ', ' || criterion_id as seed_row
from {{ ref('study_criteria') }}
where
    rule in ('diagnosis_in_code_list', 'biomarker_status', 'no_condition_in_code_list')
    and argument is null
union all
select
    'study_criteria: ' || rule || ' needs minimum, maximum or both' as fault,
    study_id || ', ' || criterion_id as seed_row
from {{ ref('study_criteria') }}
where
    rule in ('measurable_lesions', 'performance_status', 'treatment_cycles')
    and coalesce(minimum, maximum) is null
union all
select
    'study_criteria: minimum is more than maximum' as fault,
    study_id || ', ' || criterion_id as seed_row
from {{ ref('study_criteria') }}
where minimum > maximum
union all
select
    'study_criteria: wanted is yes, but of biomarker_status' as fault,
    study_id || ', ' || criterion_id as seed_row
from {{ ref('study_criteria') }}
where rule <> 'biomarker_status' and wanted <> 'yes'
union all
select
    'study_variable_levels: needs either source_value or a range from minimum to maximum' as fault,
    study_id || ', ' || variable || ', ' || level as seed_row
from {{ ref('study_variable_levels') }}
where (source_value is null) = (coalesce(minimum, maximum) is null) or minimum > maximum
union all
select distinct
    'study_variable_levels: a value lies in two levels' as fault,
    levels.study_id || ', ' || levels.variable || ', ' || levels.level as seed_row
from {{ ref('study_variable_levels') }} as levels
inner join {{ ref('study_variable_levels') }} as others
    on
        levels.study_id = others.study_id
        and levels.variable = others.variable
        and levels.level < others.level
where
    levels.source_value = others.source_value
    or (
        levels.source_value is null
        and others.source_value is null
        and coalesce(levels.minimum, -1e9) <= coalesce(others.maximum, 1e9)
        and coalesce(others.minimum, -1e9) <= coalesce(levels.maximum, 1e9)
    )
union all
select
    'study_variable_levels: no such source_value; of ' || variables.kind || case
        {%- for kind, values in source_values %}
        when variables.kind = '{{ kind }}' then ' {{ values | join(" or ") }}'
        {%- endfor %}
        when variables.kind = 'line_class' then ' a drug_class of ingredients, none or several'
        else ' a whole number'
    end as fault,
    levels.study_id || ', ' || levels.variable || ', ' || levels.level as seed_row
from {{ ref('study_variable_levels') }} as levels
inner join (
    select
        study_id,
        variable,
        case when rule = 'characteristic' then argument else rule end as kind
    from {{ ref('study_variables') }}
) as variables
    on
        levels.study_id = variables.study_id
        and levels.variable = variables.variable
left join (select distinct drug_class from {{ ref('ingredients') }}) as classes
    on levels.source_value = classes.drug_class
where
    case
        {%- for kind, values in source_values %}
        when variables.kind = '{{ kind }}'
            then coalesce(levels.source_value, '') not in ('{{ values | join("', '") }}')
        {%- endfor %}
        when variables.kind = 'line_class'
            then coalesce(levels.source_value, '') not in ('none', 'several') and classes.drug_class is null
        when variables.kind in ('{{ numbers | join("', '") }}')
            then coalesce(cast(try_cast(levels.source_value as int) as string), '') <> levels.source_value
    end
union all
select
    'study_variable_levels: of line_class the level of a drug class needs its named_drug' as fault,
    levels.study_id || ', ' || levels.variable || ', ' || levels.level as seed_row
from {{ ref('study_variable_levels') }} as levels
inner join {{ ref('study_variables') }} as variables
    on
        levels.study_id = variables.study_id
        and levels.variable = variables.variable
where
    variables.rule = 'line_class'
    and levels.source_value not in ('none', 'several')
    and levels.named_drug is null
union all
select
    'study_analyses: covariates are variables of study_variables joined by +, each once' as fault,
    analyses.study_id || ', ' || analyses.display_order || ', ' || analyses.covariates as seed_row
from {{ ref('study_analyses') }} as analyses
left join {{ ref('study_variables') }} as variables
    on
        analyses.study_id = variables.study_id
        and instr('+' || analyses.covariates || '+', '+' || variables.variable || '+') > 0
where analyses.covariates is not null
group by analyses.study_id, analyses.display_order, analyses.covariates
having
    count(distinct variables.variable)
    <= length(analyses.covariates) - length(replace(analyses.covariates, '+', ''))
union all
select
    'study_analyses: landmark_months are numbers joined by +, each once' as fault,
    study_id || ', ' || display_order || ', ' || landmark_months as seed_row
from (
    select
        *,
        array_sort(split(replace(landmark_months, '+', ','), ',')) as landmarks
    from {{ ref('study_analyses') }}
) as analyses
where
    landmarks <> array_sort(array_distinct(landmarks))
    or (
        landmark_months is not null
        and try_cast(replace(replace(landmark_months, '+', ''), '.', '') as double) is null
    )
union all
select
    'study_analyses: an exhibit has the same analysis twice' as fault,
    study_id || ', ' || min(display_order) || ', ' || exhibit as seed_row
from {{ ref('study_analyses') }}
group by
    study_id, exhibit, kind, population, endpoint, group_variable, detail_variable, detail_level, contrast
having count(*) > 1
union all
select
    'study_analyses: a comparison of groups needs both contrast and contrast_level' as fault,
    study_id || ', ' || display_order as seed_row
from {{ ref('study_analyses') }}
where group_variable is not null and (contrast is null) <> (contrast_level is null)
