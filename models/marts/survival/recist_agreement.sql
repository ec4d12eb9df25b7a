-- How often the response computed from the lesion rows is the one the investigator recorded, with
-- Cohen's kappa (Cohen 1960, Educ Psychol Meas 20:37), over the visits that have both.

with compared as (
    select
        study_id,
        derived_response,
        recorded_response,
        count(*) as n_assessments
    from {{ ref('recist_assessments') }}
    where
        derived_response is not null
        and recorded_response is not null
    group by study_id, derived_response, recorded_response
),

totals as (
    select
        study_id,
        sum(n_assessments) as n_total,
        sum(case when derived_response = recorded_response then n_assessments else 0 end)
            as n_agreed
    from compared
    group by study_id
),

derived_shares as (
    select
        study_id,
        derived_response as response,
        sum(n_assessments) as n_derived
    from compared
    group by study_id, derived_response
),

recorded_shares as (
    select
        study_id,
        recorded_response as response,
        sum(n_assessments) as n_recorded
    from compared
    group by study_id, recorded_response
),

chance as (
    select
        derived_shares.study_id,
        sum(cast(derived_shares.n_derived as double) * recorded_shares.n_recorded) as n_chance
    from derived_shares
    inner join recorded_shares
        on
            derived_shares.study_id = recorded_shares.study_id
            and derived_shares.response = recorded_shares.response
    group by derived_shares.study_id
),

shares as (
    select
        totals.study_id,
        totals.n_total,
        cast(totals.n_agreed as double) / totals.n_total as agreement,
        coalesce(chance.n_chance, 0) / cast(totals.n_total as double) / totals.n_total
            as chance_agreement
    from totals
    left join chance
        on totals.study_id = chance.study_id
),

final as (
    select
        compared.study_id,
        compared.derived_response,
        compared.recorded_response,
        cast(compared.n_assessments as int) as n_assessments,
        cast(shares.n_total as int) as n_total,
        shares.agreement,
        case
            when shares.chance_agreement < 1
                then (shares.agreement - shares.chance_agreement) / (1 - shares.chance_agreement)
        end as kappa
    from compared
    inner join shares
        on compared.study_id = shares.study_id
)

select * from final
