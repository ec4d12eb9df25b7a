{# Contracts and unit tests are written with DuckDB's lists, which Spark spells otherwise. #}
{% macro spark__cast(field, type) -%}
{%- set is_list = field is iterable and field is not string -%}
cast({{ 'array(' ~ field | join(', ') ~ ')' if is_list else field }} as {{ type | replace('bigint[]', 'array<bigint>') }})
{%- endmacro %}

{% macro spark__safe_cast(field, type) -%}
    {{ spark__cast(field, type) }}
{%- endmacro %}
