-- Rule sets agree on the lines of most patients. Histories of one treatment with the same lines and
-- the same limits within a line share a layout; it bears the number of the first of them, whose lines
-- stand for all, and what is in them is worked out once.

with line_starts as (
    select
        history_id,
        -- Whether a drug began the line is all that its reason says about its content.
        {{ string_agg_sorted(
            "cast(start_date as string)"
            ~ " || case when begun_by_drug then '+' else '-' end",
            ' '
        ) }} as starts
    from {{ ref('int_line_starts') }}
    group by history_id
),

final as (
    select
        histories.history_id,
        min(histories.history_id) over (
            partition by
                histories.treatment_id,
                line_starts.starts,
                rule_sets.regimen_window_days,
                rule_sets.min_days_new_drug,
                rule_sets.monotherapy_class,
                rule_sets.monotherapy_add_days,
                rule_sets.late_start_days,
                rule_sets.long_gap_days,
                rule_sets.phase_gap_days
        ) as layout_id
    from {{ ref('int_line_histories') }} as histories
    inner join {{ ref('line_rule_sets') }} as rule_sets
        on histories.rule_set_id = rule_sets.rule_set_id
    left join line_starts
        on histories.history_id = line_starts.history_id
)

select * from final
