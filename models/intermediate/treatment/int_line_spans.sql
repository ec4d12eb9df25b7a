-- How far each line of a layout reaches. Its last day is the last day covered by its drugs (Hess
-- 2021: the later of the last infusion and the end of the oral supply), at most the day before the
-- next line.

with treated as (
    select
        layout_id,
        line_number,
        max(coverage_end_date) as coverage_end_date,
        cast(count(*) as int) as n_treatment_days,
        cast(count_if(begins_cycle) as int) as n_cycles,
        max({{ days_between('covered_before', 'start_date') }}) as longest_gap_days
    from {{ ref('int_line_days') }}
    group by layout_id, line_number
),

given as (
    select
        layout_id,
        line_number,
        {{ string_agg_sorted('ingredient', '+') }} as drugs,
        {{ string_agg_sorted('case when is_component then ingredient end', '+') }}
            as regimen_components,
        {{ string_agg_sorted('case when is_component then drug_class end', '+') }} as drug_classes,
        {{ merged_src_rids('src_rids') }} as src_rids
    from {{ ref('int_line_components') }}
    group by layout_id, line_number
),

spans as (
    select
        line_starts.history_id as layout_id,
        line_starts.line_number,
        line_starts.start_date,
        line_starts.next_line_start_date,
        treated.coverage_end_date,
        least(treated.coverage_end_date, line_starts.next_line_start_date - 1) as end_date,
        treated.n_treatment_days,
        treated.n_cycles,
        treated.longest_gap_days,
        histories.index_date,
        {{ days_between(
            'treated.coverage_end_date',
            'coalesce(histories.death_date, histories.last_contact_date, histories.data_cutoff)'
        ) }} as days_observed_after,
        given.drugs,
        given.regimen_components,
        given.drug_classes,
        given.src_rids
    from {{ ref('int_line_starts') }} as line_starts
    inner join treated
        on
            line_starts.history_id = treated.layout_id
            and line_starts.line_number = treated.line_number
    inner join given
        on
            line_starts.history_id = given.layout_id
            and line_starts.line_number = given.line_number
    inner join {{ ref('int_line_histories') }} as histories
        on line_starts.history_id = histories.history_id
),

final as (
    select
        layout_id,
        line_number,
        start_date,
        end_date,
        coverage_end_date,
        next_line_start_date,
        {{ days_between('index_date', 'start_date') }} as start_day,
        {{ days_between('index_date', 'end_date') }} as end_day,
        n_treatment_days,
        n_cycles,
        longest_gap_days,
        days_observed_after,
        drugs,
        regimen_components,
        drug_classes,
        src_rids
    from spans
)

select * from final
