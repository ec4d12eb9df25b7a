-- The drugs of a line. A new drug that was not given on as many days as its rule set asks for is
-- not one of them.

with components as (
    select
        layout_id,
        line_number,
        ingredient,
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
    group by layout_id, line_number, ingredient, drug_class, modality
),

final as (
    select
        histories.study_id,
        histories.rule_set_id,
        histories.patient_key,
        components.line_number,
        components.ingredient,
        components.drug_class,
        components.modality,
        components.joined_by,
        components.first_date,
        components.last_date,
        components.n_exposures,
        components.days_from_line_start,
        components.src_rids
    from components
    inner join {{ ref('int_line_layouts') }} as layouts
        on components.layout_id = layouts.layout_id
    inner join {{ ref('int_line_histories') }} as histories
        on layouts.history_id = histories.history_id
    where components.joined_by <> 'NOT_CONFIRMED'
)

select * from final
