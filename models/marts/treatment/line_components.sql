-- The drugs of a line. A new drug still unconfirmed by the exposures that its rule set asks for is not
-- one of them.

with confirmed as (
    select
        *,
        min(case when placement = 'NOT_CONFIRMED' then start_date end) over (
            partition by study_id, rule_set_id, patient_key, line_number, ingredient
        ) as unconfirmed_date
    from {{ ref('int_exposure_lines') }}
    where is_counted
),

final as (
    select
        study_id,
        rule_set_id,
        patient_key,
        line_number,
        ingredient,
        drug_class,
        modality,
        min_by(placement, start_date) as joined_by,
        min(start_date) as first_date,
        max(start_date) as last_date,
        cast(count(distinct start_date) as int) as n_exposures,
        min(days_from_line_start) as days_from_line_start,
        {{ merged_src_rids('src_rids') }} as src_rids
    from confirmed
    where unconfirmed_date is null
    group by study_id, rule_set_id, patient_key, line_number, ingredient, drug_class, modality
)

select * from final
