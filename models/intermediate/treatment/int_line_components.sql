-- The drugs given in each line of a layout, and how each joined it. One that was not given on as many
-- days as its rule set asks of a new drug was given in the line but is no component of it.

with final as (
    select
        layout_id,
        line_number,
        ingredient,
        line_drug,
        drug_class,
        modality,
        min(case when placement <> 'GIVEN_BEFORE_IN_LINE' then placement end) as joined_by,
        min(start_date) as first_date,
        max(start_date) as last_date,
        cast(count(*) as int) as n_exposures,
        min(days_from_line_start) as days_from_line_start,
        {{ merged_src_rids('src_rids') }} as src_rids
    from {{ ref('int_exposure_lines') }}
    where is_counted
    group by layout_id, line_number, ingredient, line_drug, drug_class, modality
)

select
    *,
    joined_by <> 'NOT_CONFIRMED' as is_component
from final
