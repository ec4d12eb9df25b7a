{# The raw rows behind a derived row, sorted and without repeats; use within a group by. #}
{% macro src_rids(src_rid) -%}
    array_sort(array_agg(distinct {{ src_rid }}) filter (where {{ src_rid }} is not null))
{%- endmacro %}

{# The same, from rows that already carry a list. #}
{% macro merged_src_rids(src_rids) -%}
    array_sort(array_distinct(flatten(array_agg({{ src_rids }}) filter (where {{ src_rids }} is not null))))
{%- endmacro %}
