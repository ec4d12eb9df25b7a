-- What the engine takes for granted of the rule seeds; each row is a fault to mend in seeds/therapy.
{{ config(meta={'rows_may_be_told': true}) }}

{% set needed = ['label', 'line1_min_offset_days', 'regimen_window_days', 'progression_change_advances', 'drop_advances', 'toxicity_replacement_keeps', 'min_days_new_drug', 'regional_counts', 'additions_rule_set_id', 'interchange_rule_set_id', 'late_start_days', 'long_gap_days', 'phase_gap_days'] %}
{% set days = ['adjuvant_as_line1_days', 'regimen_window_days', 'gap_days', 'monotherapy_add_days', 'progression_restart_days', 'min_days_new_drug', 'late_start_days', 'long_gap_days', 'phase_gap_days'] %}

select
    'interchange: in more than one group of drugs that keep the line' as fault,
    rule_set_id || ', ' || ingredient as seed_row
from {{ ref('line_interchange_groups') }}
where effect = 'same_line'
group by rule_set_id, ingredient
having count(*) > 1
union all
select
    'additions: max_day is empty or less than 0' as fault,
    rule_set_id || ', ' || drug_class as seed_row
from {{ ref('line_rule_additions') }}
where coalesce(max_day, -1) < 0
union all
select
    'additions: a class with more than one limit' as fault,
    rule_set_id || ', ' || drug_class as seed_row
from {{ ref('line_rule_additions') }}
group by rule_set_id, drug_class
having count(*) > 1
union all
select
    'additions: no ingredient has the class' as fault,
    additions.rule_set_id || ', ' || additions.drug_class as seed_row
from {{ ref('line_rule_additions') }} as additions
left join {{ ref('ingredients') }} as ingredients
    on additions.drug_class = ingredients.drug_class
where ingredients.ingredient is null
union all
select
    'rule sets: the rule set that it varies is not there, or varies another' as fault,
    rule_sets.rule_set_id as seed_row
from {{ ref('line_rule_sets') }} as rule_sets
left join {{ ref('line_rule_sets') }} as bases
    on rule_sets.base_rule_set_id = bases.rule_set_id
where bases.rule_set_id is null or bases.base_rule_set_id <> bases.rule_set_id
union all
select
    'synonyms: listed twice' as fault,
    synonym || ', ' || ingredient as seed_row
from {{ ref('drug_synonyms') }}
group by synonym, ingredient
having count(*) > 1
{%- for seed, columns in [('line_interchange_groups', ['rule_set_id', 'interchange_group', 'ingredient', 'effect']), ('drug_synonyms', ['synonym', 'script', 'ingredient']), ('ingredients', ['ingredient', 'drug_class', 'role'])] %}
union all
select
    '{{ seed }}: may not be empty, one of {{ columns | join(", ") }}' as fault,
    concat_ws(', ', {{ columns | join(', ') }}) as seed_row
from {{ ref(seed) }}
where {{ columns | join(' is null or ') }} is null
{%- endfor %}
union all
select
    'synonyms: not in lower case, as texts are looked through' as fault,
    synonym || ', ' || ingredient as seed_row
from {{ ref('drug_synonyms') }}
where synonym <> lower(synonym)
union all
select
    'rule sets: may not be empty, ' || case
        {%- for column in needed %}
        when {{ column }} is null then '{{ column }}'
        {%- endfor %}
    end as fault,
    rule_set_id as seed_row
from {{ ref('line_rule_sets') }}
where {{ needed | join(' is null or ') }} is null
union all
select
    'rule sets: less than 0, one of {{ days | join(", ") }}' as fault,
    rule_set_id as seed_row
from {{ ref('line_rule_sets') }}
where least({{ days | join(', ') }}) < 0
union all
select
    'rule sets: no ingredient has the monotherapy_class' as fault,
    rule_sets.rule_set_id || ', ' || rule_sets.monotherapy_class as seed_row
from {{ ref('line_rule_sets') }} as rule_sets
left join {{ ref('ingredients') }} as ingredients
    on rule_sets.monotherapy_class = ingredients.drug_class
where rule_sets.monotherapy_class is not null and ingredients.ingredient is null
{%- for seed, column in [('line_rule_additions', 'additions_rule_set_id'), ('line_interchange_groups', 'interchange_rule_set_id')] %}
union all
select
    'rule sets: {{ seed }} has no row of the {{ column }}, which is not none either' as fault,
    rule_sets.rule_set_id || ', ' || rule_sets.{{ column }} as seed_row
from {{ ref('line_rule_sets') }} as rule_sets
left join {{ ref(seed) }} as named
    on rule_sets.{{ column }} = named.rule_set_id
where rule_sets.{{ column }} <> 'none' and named.rule_set_id is null
union all
select distinct
    '{{ seed }}: no row of line_rule_sets has it as its {{ column }}' as fault,
    named.rule_set_id as seed_row
from {{ ref(seed) }} as named
left join {{ ref('line_rule_sets') }} as rule_sets
    on named.rule_set_id = rule_sets.{{ column }}
where named.rule_set_id is null or rule_sets.rule_set_id is null
{%- endfor %}
