-- What was delivered and not staged. Only these rows are read a second time, for their reasons.

{% set tables = delivered_tables() -%}

with {% for table in tables %}
{{ table }}_not_staged as (
    select delivered.*
    from {{ source('extract', table) }} as delivered
    left join {{ ref('stg_common__' ~ table) }} as staged
        on delivered.src_rid = staged.src_rid
    where staged.src_rid is null
),
{% endfor %}
rejected as (
    {%- for table in tables %}
    select
        '{{ table }}' as table_name,
        src_rid,
        reject_reason
    from (
        {{ typed_source(table, rows=table ~ '_not_staged') }}
    ) as {{ table }}_typed
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

files as (
    select
        file_id,
        table_name,
        file_name
    from {{ source('extract', 'files') }}
),

final as (
    select
        files.file_name,
        rejected.table_name,
        cast(rejected.src_rid - files.file_id * 4294967296 as int) as record_no,
        rejected.reject_reason as reason,
        rejected.src_rid
    from rejected
    inner join files
        on rejected.table_name = files.table_name
)

select * from final
