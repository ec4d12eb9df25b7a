with exclusions as (
    select
        study_id,
        first_failed_step as step,
        count(*) filter (where first_failed_because = 'not met') as n_not_met,
        count(*) filter (where first_failed_because = 'unknown') as n_unknown
    from {{ ref('cohort') }}
    where not included
    group by study_id, first_failed_step
),

starts as (
    select
        study_id,
        count(*) as n_patients
    from {{ ref('cohort') }}
    group by study_id
),

steps as (
    select
        criteria.study_id,
        criteria.step,
        criteria.criterion_id,
        criteria.label as criterion,
        starts.n_patients,
        coalesce(exclusions.n_not_met, 0) as n_not_met,
        coalesce(exclusions.n_unknown, 0) as n_unknown,
        sum(coalesce(exclusions.n_not_met, 0) + coalesce(exclusions.n_unknown, 0)) over (
            partition by criteria.study_id
            order by criteria.step
            rows between unbounded preceding and current row
        ) as n_excluded_so_far
    from {{ ref('study_criteria') }} as criteria
    inner join starts
        on criteria.study_id = starts.study_id
    left join exclusions
        on
            criteria.study_id = exclusions.study_id
            and criteria.step = exclusions.step
),

final as (
    select
        study_id,
        step,
        criterion_id,
        criterion,
        cast(n_patients - n_excluded_so_far + n_not_met + n_unknown as int) as n_in,
        cast(n_not_met as int) as n_not_met,
        cast(n_unknown as int) as n_unknown,
        cast(n_patients - n_excluded_so_far as int) as n_out
    from steps
)

select * from final
