{# A src_rid names a file and a record of it: file_id << 32 | record_no. #}
{% macro file_id(src_rid) -%}
    cast(floor({{ src_rid }} / 4294967296) as int)
{%- endmacro %}

{% macro record_no(src_rid) -%}
    cast({{ src_rid }} % 4294967296 as int)
{%- endmacro %}

{# The raw rows behind a derived row, sorted and without repeats; use within a group by. #}
{% macro src_rids(src_rid) -%}
{%- set rows = 'array_sort(array_agg(distinct ' ~ src_rid ~ ') filter (where ' ~ src_rid ~ ' is not null))' -%}
    {{ return(adapter.dispatch('null_for_no_rows')(rows)) }}
{%- endmacro %}

{# The same, from rows that already carry a list. #}
{% macro merged_src_rids(src_rids) -%}
{%- set lists = 'array_agg(' ~ src_rids ~ ') filter (where ' ~ src_rids ~ ' is not null)' -%}
    {{ return(adapter.dispatch('null_for_no_rows')('array_sort(array_distinct(flatten(' ~ lists ~ ')))')) }}
{%- endmacro %}

{# Spark's `array_agg` of no rows is an empty list, DuckDB's is NULL. #}
{% macro default__null_for_no_rows(rows) -%}
    {{ rows }}
{%- endmacro %}

{% macro spark__null_for_no_rows(rows) -%}
    nullif({{ rows }}, cast(array() as array<bigint>))
{%- endmacro %}

{# One raw row as a list. #}
{% macro src_rid_list(src_rid) -%}
    {{ return(adapter.dispatch('src_rid_list')(src_rid)) }}
{%- endmacro %}

{% macro default__src_rid_list(src_rid) -%}
    list_value({{ src_rid }})
{%- endmacro %}

{% macro spark__src_rid_list(src_rid) -%}
    array({{ src_rid }})
{%- endmacro %}

{# Several lists as a list of lists; a missing one is left out. #}
{% macro src_rid_lists(lists) -%}
    {{ return(adapter.dispatch('src_rid_lists')(lists)) }}
{%- endmacro %}

{% macro default__src_rid_lists(lists) -%}
    list_value(
        {%- for list in lists %}
        coalesce({{ list }}, cast([] as bigint[])){{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{% macro spark__src_rid_lists(lists) -%}
    array(
        {%- for list in lists %}
        coalesce({{ list }}, cast(array() as array<bigint>)){{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
