-- What the engine takes for granted of the rule seeds; each row is a fault to mend in seeds/therapy.
{{ config(meta={'rows_may_be_told': true}) }}

select
    'interchange: in more than one group of drugs that keep the line' as fault,
    rule_set_id || ', ' || ingredient as seed_row
from {{ ref('line_interchange_groups') }}
where effect = 'same_line'
group by rule_set_id, ingredient
having count(*) > 1
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
    'rule sets: the rule set that it varies is not there' as fault,
    rule_sets.rule_set_id as seed_row
from {{ ref('line_rule_sets') }} as rule_sets
left join {{ ref('line_rule_sets') }} as bases
    on rule_sets.base_rule_set_id = bases.rule_set_id
where bases.rule_set_id is null
union all
select
    'synonyms: listed twice' as fault,
    synonym || ', ' || ingredient as seed_row
from {{ ref('drug_synonyms') }}
group by synonym, ingredient
having count(*) > 1
