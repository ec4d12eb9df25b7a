{% set tables = delivered_tables() -%}

with delivered as (
    {%- for table in tables %}
    select
        {{ file_id('src_rid') }} as file_id,
        count(duplicate_of) as n_collapsed
    from {{ source('extract', table) }}
    group by {{ file_id('src_rid') }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

staged as (
    {%- for table in tables %}
    select
        {{ file_id('src_rid') }} as file_id,
        count(*) as n_staged
    from {{ ref('stg_common__' ~ table) }}
    group by {{ file_id('src_rid') }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

quarantined as (
    select
        {{ file_id('src_rid') }} as file_id,
        count(distinct src_rid) as n_quarantined
    from {{ ref('quarantine') }}
    group by {{ file_id('src_rid') }}
),

final as (
    select
        cast(files.file_id as int) as file_id,
        cast(files.delivery_seq as int) as delivery_seq,
        files.table_name,
        files.file_name,
        files.size_bytes,
        files.sha256,
        files.encoding,
        cast(files.contract_version as int) as contract_version,
        cast(files.row_hash_version as int) as row_hash_version,
        files.undeclared_columns,
        cast(files.n_records as int) as n_records,
        cast(coalesce(staged.n_staged, 0) as int) as n_staged,
        cast(coalesce(quarantined.n_quarantined, 0) as int) as n_quarantined,
        cast(coalesce(delivered.n_collapsed, 0) as int) as n_collapsed,
        cast(files.n_superseded as int) as n_superseded,
        cast(files.n_erased as int) as n_erased,
        cast(files.n_before as int) as n_before
    from {{ source('extract', 'files') }} as files
    left join delivered
        on files.file_id = delivered.file_id
    left join staged
        on files.file_id = staged.file_id
    left join quarantined
        on files.file_id = quarantined.file_id
)

select * from final
