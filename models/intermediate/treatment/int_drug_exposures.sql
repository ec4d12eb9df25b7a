-- A drug is known by the longest of the dictionary's synonyms that its text contains (seed
-- drug_synonyms), an anticancer drug before the diluent or premedication named beside it; by its ATC
-- code only where the text says nothing. Planned and cancelled records never count, and an order is
-- not a second exposure beside the administration or dispensing that carried it out.
-- Coverage lasts to the end of the days supplied, else of the administration: the discontinuation
-- date of Hess 2021 (Future Oncol 17:1865).

with completed as (
    select *
    from {{ ref('stg_common__drug_administrations') }}
    where record_status = 'completed'
),

carried_out as (
    select distinct
        patient_key,
        order_id
    from completed
    where
        record_type in ('administration', 'dispensing')
        and order_id is not null
),

exposures as (
    select completed.*
    from completed
    left join carried_out
        on
            completed.record_type = 'order'
            and completed.patient_key = carried_out.patient_key
            and coalesce(completed.order_id, completed.record_id) = carried_out.order_id
    where carried_out.order_id is null
),

texts as (
    select distinct
        drug_text,
        {{ searchable_text('drug_text') }} as searchable
    from exposures
),

words as (
    select
        drug_text,
        searchable,
        {{ latin_words('searchable') }} as latin_words
    from texts
),

synonyms as (
    select
        synonyms.synonym,
        synonyms.script,
        length(synonyms.synonym) as synonym_length,
        synonyms.ingredient,
        ingredients.role = 'supportive' as is_supportive
    from {{ ref('drug_synonyms') }} as synonyms
    inner join {{ ref('ingredients') }} as ingredients
        on synonyms.ingredient = ingredients.ingredient
),

longest as (
    select
        words.drug_text,
        synonyms.synonym,
        synonyms.ingredient
    from words
    inner join synonyms
        on
            case synonyms.script
                when 'latin' then words.latin_words like '% ' || synonyms.synonym || ' %'
                else words.searchable like '%' || synonyms.synonym || '%'
            end
    qualify
        rank() over (
            partition by words.drug_text
            order by synonyms.is_supportive, synonyms.synonym_length desc, synonyms.synonym
        ) = 1
),

codes as (
    select atc_code as drug_code, ingredient
    from {{ ref('ingredients') }}
    where atc_code is not null
    union all
    select former_atc_code as drug_code, ingredient
    from {{ ref('ingredients') }}
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

mapped as (
    select
        exposures.patient_key,
        coalesce(longest.ingredient, unambiguous_codes.ingredient) as ingredient,
        case
            when coalesce(longest.ingredient, unambiguous_codes.ingredient) is null
                then exposures.drug_text
        end as unmapped_text,
        coalesce(exposures.route not in ('intra_arterial', 'intraperitoneal'), true) as is_systemic,
        exposures.start_date,
        greatest(
            exposures.start_date,
            coalesce(
                exposures.start_date + exposures.days_supply - 1,
                exposures.end_date,
                exposures.start_date
            )
        ) as coverage_end_date,
        exposures.intent,
        exposures.src_rid
    from exposures
    left join longest
        on exposures.drug_text = longest.drug_text
    left join unambiguous_codes
        on
            longest.drug_text is null
            and upper(trim(exposures.drug_code)) = unambiguous_codes.drug_code
),

exposed as (
    select
        patient_key,
        ingredient,
        unmapped_text,
        is_systemic,
        start_date,
        max(coverage_end_date) as coverage_end_date,
        min(nullif(intent, 'unknown')) as intent,
        count(*) as n_records,
        array_sort(array_agg(src_rid)) as src_rids
    from mapped
    group by patient_key, ingredient, unmapped_text, is_systemic, start_date
),

final as (
    select
        exposed.patient_key,
        exposed.ingredient,
        exposed.unmapped_text,
        ingredients.drug_class,
        ingredients.role,
        ingredients.modality,
        exposed.is_systemic,
        exposed.start_date,
        exposed.coverage_end_date,
        exposed.intent,
        exposed.n_records,
        exposed.src_rids
    from exposed
    left join {{ ref('ingredients') }} as ingredients
        on exposed.ingredient = ingredients.ingredient
)

select * from final
