{% set tables = delivered_tables() -%}

with counts as (
    {%- for table in tables %}
    select
        '{{ table }}' as table_name,
        count(*) as n_records,
        count_if(reject_reason is null) as n_staged,
        count_if(reject_reason is not null) as n_quarantined
    from {{ ref('stg_extract__' ~ table) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

final as (
    select
        cast(files.file_id as int) as file_id,
        files.table_name,
        files.file_name,
        files.size_bytes,
        files.sha256,
        cast(files.contract_version as int) as contract_version,
        cast(counts.n_records as int) as n_records,
        cast(counts.n_staged as int) as n_staged,
        cast(counts.n_quarantined as int) as n_quarantined
    from {{ source('extract', 'files') }} as files
    inner join counts
        on files.table_name = counts.table_name
)

select * from final
