-- Where lines begin and why: the chain of possible lines from a history's first treatment day, each
-- beginning where the one before ends.

with recursive first_days as (
    select
        history_id,
        min(start_date) as start_date
    from {{ ref('int_possible_lines') }}
    group by history_id
),

chain as (
    select
        possible_lines.history_id,
        1 as line_number,
        'FIRST_SACT' as start_reason,
        possible_lines.start_date,
        possible_lines.next_line_start_date,
        possible_lines.next_start_reason
    from first_days
    inner join {{ ref('int_possible_lines') }} as possible_lines
        on
            first_days.history_id = possible_lines.history_id
            and first_days.start_date = possible_lines.start_date
    union all
    select
        chain.history_id,
        chain.line_number + 1 as line_number,
        chain.next_start_reason as start_reason,
        possible_lines.start_date,
        possible_lines.next_line_start_date,
        possible_lines.next_start_reason
    from chain
    inner join {{ ref('int_possible_lines') }} as possible_lines
        on
            chain.history_id = possible_lines.history_id
            and chain.next_line_start_date = possible_lines.start_date
)

select
    history_id,
    line_number,
    start_reason,
    start_reason not in ('GAP', 'DRUG_DROPPED') as begun_by_drug,
    start_date,
    next_line_start_date
from chain
