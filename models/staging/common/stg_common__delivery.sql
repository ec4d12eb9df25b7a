with typed as (
    {{ typed_source('delivery') }}
)

select
    src_rid,
    delivery_id,
    site_code,
    extract_date,
    synthetic,
    coalesce(covers, 'all') as covers
from typed
where reject_reason is null
