-- What was delivered and not staged. Only these rows are read a second time, for their reasons.

{% set tables = delivered_tables() -%}
{#- A row is rejected for as many reasons as it has columns, at most. -#}
{%- set most_reasons = 32 -%}

with {% for table in tables %}
{{ table }}_not_staged as (
    select delivered.*
    from {{ source('extract', table) }} as delivered
    left join {{ ref('stg_common__' ~ table) }} as staged
        on delivered.src_rid = staged.src_rid
    where staged.src_rid is null and delivered.duplicate_of is null
),
{% endfor %}
rejected as (
    {%- for table in tables %}
    select
        '{{ table }}' as table_name,
        src_rid,
        line_no,
        {{ reject_reason(table) }} as reject_reason
    from {{ table }}_not_staged
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

numbers as (
    {%- for number in range(1, most_reasons + 1) %}
    select {{ number }} as number
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

reasons as (
    select
        rejected.table_name,
        rejected.src_rid,
        rejected.line_no,
        split_part(rejected.reject_reason, '; ', numbers.number) as reason
    from rejected
    cross join numbers
    where split_part(rejected.reject_reason, '; ', numbers.number) <> ''
),

final as (
    select
        files.file_name,
        reasons.table_name,
        {{ record_no('reasons.src_rid') }} as record_no,
        cast(reasons.line_no as int) as line_no,
        case when reasons.reason like '%: %' then split_part(reasons.reason, ': ', 1) end as column_name,
        case
            when reasons.reason not like '%: %' then 'FIL-005'
            when reasons.reason like '%: missing' then 'STR-001'
            when reasons.reason like '%: not a code%' then 'VAL-016'
            when reasons.reason like '%: not a date%' then 'FIL-015'
            else 'STR-002'
        end as check_id,
        case
            when reasons.reason like '%: %' then split_part(reasons.reason, ': ', 2)
            else reasons.reason
        end as reason,
        reasons.src_rid
    from reasons
    inner join {{ source('extract', 'files') }} as files
        on {{ file_id('reasons.src_rid') }} = files.file_id
)

select * from final
