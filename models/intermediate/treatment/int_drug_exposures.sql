-- A text means every drug of which it contains a synonym (seed drug_synonyms), except those whose
-- name is part of the name of another that it contains, and except diluents, premedication and
-- "chemotherapy" beside a named anticancer drug. A regimen means its drugs, unless the text names one
-- of them: "oxaliplatin (FOLFOX)" is oxaliplatin. An ATC code speaks only where the text says nothing.
-- Planned and cancelled records never count, and an order is not a second exposure beside the
-- administration or dispensing that carried it out.
-- Coverage lasts to the end of the days supplied, else of the administration: the discontinuation
-- date of Hess 2021 (Future Oncol 17:1865).

with carried_out as (
    select distinct
        patient_key,
        order_id
    from {{ ref('stg_common__drug_administrations') }}
    where
        record_status = 'completed'
        and record_type in ('administration', 'dispensing')
        and order_id is not null
),

exposures as (
    select records.*
    from {{ ref('stg_common__drug_administrations') }} as records
    left join carried_out
        on
            records.patient_key = carried_out.patient_key
            and coalesce(records.order_id, records.record_id) = carried_out.order_id
    where
        records.record_status = 'completed'
        and (records.record_type <> 'order' or carried_out.order_id is null)
),

-- A trial's drug counts as named, though its name is masked.
ingredients as (
    select
        *,
        role in ('antineoplastic', 'investigational') as is_named_anticancer,
        role in ('antineoplastic', 'investigational', 'unknown_antineoplastic') as is_anticancer
    from {{ ref('ingredients') }}
),

-- Grouped and not distinct, so that DuckDB knows how few they are.
texts as (
    select drug_text
    from {{ ref('stg_common__drug_administrations') }}
    group by drug_text
),

searchable_texts as (
    select
        drug_text,
        {{ searchable_text('drug_text') }} as searchable
    from texts
),

words as (
    select
        drug_text,
        searchable,
        {{ latin_words('searchable') }} as latin_words
    from searchable_texts
),

synonyms as (
    select
        synonym,
        script,
        ingredient,
        count(*) over (partition by synonym) = 1 as means_one
    from {{ ref('drug_synonyms') }}
),

-- Tegafur is part of the name of S-1, trastuzumab of that of its conjugates.
parts as (
    select distinct
        synonyms.ingredient,
        longer.ingredient as whole_ingredient
    from synonyms
    inner join synonyms as longer
        on
            synonyms.ingredient <> longer.ingredient
            and longer.means_one
            and case synonyms.script
                when 'chinese' then longer.synonym like '%' || synonyms.synonym || '%'
                else ' ' || longer.synonym || ' ' like '% ' || synonyms.synonym || ' %'
            end
),

found as (
    select
        words.drug_text,
        synonyms.synonym,
        synonyms.script,
        synonyms.ingredient
    from words
    inner join synonyms
        on
            case synonyms.script
                when 'chinese' then words.searchable like '%' || synonyms.synonym || '%'
                else words.latin_words like '% ' || synonyms.synonym || ' %'
            end
),

regimens_of_named_drugs as (
    select distinct
        regimens.drug_text,
        regimens.synonym
    from found as regimens
    inner join found as drugs
        on
            regimens.drug_text = drugs.drug_text
            and regimens.ingredient = drugs.ingredient
            and drugs.script <> 'regimen'
    where regimens.script = 'regimen'
),

named as (
    select distinct
        found.drug_text,
        found.ingredient
    from found
    left join regimens_of_named_drugs
        on
            found.drug_text = regimens_of_named_drugs.drug_text
            and found.synonym = regimens_of_named_drugs.synonym
    where regimens_of_named_drugs.synonym is null
),

named_parts as (
    select distinct
        named.drug_text,
        parts.ingredient
    from named
    inner join parts
        on named.ingredient = parts.whole_ingredient
),

named_drugs as (
    select
        named.*,
        ingredients.role,
        bool_or(ingredients.is_named_anticancer) over (
            partition by named.drug_text
        ) as names_anticancer
    from named
    inner join ingredients
        on named.ingredient = ingredients.ingredient
    left join named_parts
        on
            named.drug_text = named_parts.drug_text
            and named.ingredient = named_parts.ingredient
    where named_parts.ingredient is null
),

text_drugs as (
    select
        drug_text,
        ingredient
    from named_drugs
    where not names_anticancer or role not in ('supportive', 'unknown_antineoplastic')
),

codes as (
    select atc_code as drug_code, ingredient
    from ingredients
    where atc_code is not null
    union all
    select former_atc_code as drug_code, ingredient
    from ingredients
    where former_atc_code is not null
),

unambiguous_codes as (
    select
        drug_code,
        min(ingredient) as ingredient
    from codes
    group by drug_code
    having count(distinct ingredient) = 1
),

known_by_text as (
    select
        exposures.*,
        text_drugs.ingredient,
        case when text_drugs.ingredient is null then upper(trim(exposures.drug_code)) end
            as fallback_code
    from exposures
    left join text_drugs
        on exposures.drug_text = text_drugs.drug_text
),

mapped as (
    select
        known_by_text.patient_key,
        coalesce(
            known_by_text.ingredient, unambiguous_codes.ingredient, known_by_text.drug_text
        ) as drug,
        coalesce(known_by_text.route not in ('intra_arterial', 'intraperitoneal'), true)
            as is_systemic,
        known_by_text.start_date,
        greatest(
            known_by_text.start_date,
            coalesce(
                known_by_text.start_date + known_by_text.days_supply - 1,
                known_by_text.end_date,
                known_by_text.start_date
            )
        ) as coverage_end_date,
        known_by_text.intent,
        known_by_text.src_rid
    from known_by_text
    left join unambiguous_codes
        on known_by_text.fallback_code = unambiguous_codes.drug_code
),

exposed as (
    select
        patient_key,
        drug,
        is_systemic,
        start_date,
        max(coverage_end_date) as coverage_end_date,
        min(nullif(intent, 'unknown')) as intent,
        count(*) as n_records,
        array_sort(array_agg(src_rid)) as src_rids
    from mapped
    group by patient_key, drug, is_systemic, start_date
),

final as (
    select
        exposed.patient_key,
        ingredients.ingredient,
        case when ingredients.ingredient is null then exposed.drug end as unmapped_text,
        ingredients.is_anticancer,
        ingredients.is_named_anticancer,
        exposed.is_systemic,
        exposed.start_date,
        exposed.coverage_end_date,
        exposed.intent,
        exposed.n_records,
        exposed.src_rids
    from exposed
    left join ingredients
        on exposed.drug = ingredients.ingredient
)

select * from final
