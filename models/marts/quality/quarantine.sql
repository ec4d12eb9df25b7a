{% set tables = delivered_tables() -%}

with rejected as (
    {%- for table in tables %}
    select
        '{{ table }}' as table_name,
        src_rid,
        reject_reason
    from {{ ref('stg_extract__' ~ table) }}
    where reject_reason is not null
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

final as (
    select
        files.file_name,
        rejected.table_name,
        cast(rejected.src_rid - files.file_id * 4294967296 as int) as record_no,
        rejected.reject_reason as reason,
        rejected.src_rid
    from rejected
    inner join {{ ref('source_files') }} as files
        on rejected.table_name = files.table_name
)

select * from final
