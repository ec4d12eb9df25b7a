{# The distinct values of a group, sorted and joined; NULL for none. Filter with `case`. #}
{% macro string_agg_sorted(expression, separator) -%}
    {{ return(adapter.dispatch('string_agg_sorted')(expression, separator)) }}
{%- endmacro %}

{% macro default__string_agg_sorted(expression, separator) -%}
    nullif(
        array_to_string(array_sort(array_distinct(array_agg({{ expression }}))), '{{ separator }}'), ''
    )
{%- endmacro %}

{% macro spark__string_agg_sorted(expression, separator) -%}
    nullif(array_join(array_sort(collect_set({{ expression }})), '{{ separator }}'), '')
{%- endmacro %}
