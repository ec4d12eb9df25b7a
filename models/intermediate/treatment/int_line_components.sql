-- The drugs given in each line of a layout, and how each joined it. One that was not given on as many
-- days as its rule set asks of a new drug was given in the line but is no component of it.

with given as (
    select
        layout_id,
        line_number,
        ingredient,
        min(case when placement <> 'GIVEN_BEFORE_IN_LINE' then placement end) as joined_by,
        min(start_date) as first_date,
        max(start_date) as last_date,
        cast(count(*) as int) as n_exposures,
        cast(count_if(is_systemic) as int) as n_systemic_days,
        coalesce(bool_or(intent in ('adjuvant', 'neoadjuvant')), false) as has_curative_intent,
        min(days_from_line_start) as days_from_line_start,
        -- A record is in no more than one exposure to a drug.
        array_sort(flatten(array_agg(src_rids))) as src_rids
    from {{ ref('int_exposure_lines') }}
    where is_counted
    group by layout_id, line_number, ingredient
)

select
    given.*,
    drugs.line_drug,
    drugs.drug_class,
    drugs.modality,
    drugs.is_targeted,
    given.joined_by <> 'NOT_CONFIRMED' as is_component
from given
inner join {{ ref('int_line_histories') }} as histories
    on given.layout_id = histories.history_id
inner join {{ ref('int_rule_drugs') }} as drugs
    on
        histories.rule_set_id = drugs.rule_set_id
        and given.ingredient = drugs.ingredient
