-- What a drug is to a rule set. Drugs that may stand for one another (seed line_interchange_groups)
-- are one drug to its rules, so that an exchange never advances a line. One rule is for targeted drugs
-- and immunotherapy (Hess 2021, Table 3: biologics and targeted drugs).

with drugs as (
    select
        cast(row_number() over (order by ingredient) as int) as drug_number,
        ingredient,
        drug_class,
        modality,
        modality in ('targeted', 'immunotherapy') as is_targeted
    from {{ ref('ingredients') }}
    -- What does not treat the cancer has no modality.
    where modality <> 'unknown'
),

named as (
    select
        rule_sets.rule_set_id,
        drugs.drug_number,
        drugs.ingredient,
        drugs.modality,
        drugs.is_targeted,
        drugs.drug_class,
        coalesce(interchange.interchange_group, drugs.ingredient) as line_drug,
        coalesce(drugs.drug_class <> rule_sets.monotherapy_class, true) as is_other_class
    from {{ ref('line_rule_sets') }} as rule_sets
    cross join drugs
    left join {{ ref('line_interchange_groups') }} as interchange
        on
            rule_sets.interchange_rule_set_id = interchange.rule_set_id
            and drugs.ingredient = interchange.ingredient
            and interchange.effect = 'same_line'
)

select
    *,
    min(drug_number) over (partition by rule_set_id, line_drug) as line_drug_number
from named
