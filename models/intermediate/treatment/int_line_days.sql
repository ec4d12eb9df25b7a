-- The treatment days of each line of a layout, which of them begin a cycle, and how far the days before
-- them reach. The days of one fortnight from the start of the line are one cycle.

with treatment_days as (
    select
        layout_id,
        line_number,
        start_date,
        cast(floor(min(days_from_line_start) / 14.0) as int) as fortnight,
        max(coverage_end_date) as coverage_end_date
    from {{ ref('int_exposure_lines') }}
    where is_counted
    group by layout_id, line_number, start_date
)

select
    layout_id,
    line_number,
    start_date,
    coverage_end_date,
    lag(start_date) over (
        partition by layout_id, line_number
        order by start_date
    ) as previous_date,
    coalesce(
        fortnight <> lag(fortnight) over (partition by layout_id, line_number order by start_date),
        true
    ) as begins_cycle,
    max(coverage_end_date) over (
        partition by layout_id, line_number
        order by start_date
        rows between unbounded preceding and 1 preceding
    ) as covered_before
from treatment_days
