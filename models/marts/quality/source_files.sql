{% set tables = delivered_tables() -%}

with delivered as (
    {%- for table in tables %}
    select
        '{{ table }}' as table_name,
        (select count(*) from {{ source('extract', table) }}) as n_records,
        (select count(*) from {{ ref('stg_common__' ~ table) }}) as n_staged
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

quarantined as (
    select
        table_name,
        count(*) as n_quarantined
    from {{ ref('quarantine') }}
    group by table_name
),

final as (
    select
        cast(files.file_id as int) as file_id,
        files.table_name,
        files.file_name,
        files.size_bytes,
        files.sha256,
        cast(files.contract_version as int) as contract_version,
        cast(delivered.n_records as int) as n_records,
        cast(delivered.n_staged as int) as n_staged,
        cast(coalesce(quarantined.n_quarantined, 0) as int) as n_quarantined
    from {{ source('extract', 'files') }} as files
    inner join delivered
        on files.table_name = delivered.table_name
    left join quarantined
        on files.table_name = quarantined.table_name
)

select * from final
