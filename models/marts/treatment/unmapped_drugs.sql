with unmapped as (
    select * from {{ ref('int_drug_exposures') }} where ingredient is null
),

final as (
    select
        unmapped_text as drug_text,
        cast(sum(n_records) as bigint) as n_rows,
        count(distinct patient_key) as n_patients,
        min(start_date) as first_date,
        max(start_date) as last_date
    from unmapped
    group by unmapped_text
)

select * from final
