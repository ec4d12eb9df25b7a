{# The values of a group joined in the order of another column; NULL for none. #}
{% macro string_agg_ordered(expression, separator, order_by) -%}
    {{ return(adapter.dispatch('string_agg_ordered')(expression, separator, order_by)) }}
{%- endmacro %}

{% macro default__string_agg_ordered(expression, separator, order_by) -%}
    string_agg({{ expression }}, '{{ separator }}' order by {{ order_by }})
{%- endmacro %}

{% macro spark__string_agg_ordered(expression, separator, order_by) -%}
    nullif(
        array_join(
            transform(
                array_sort(collect_list(struct({{ order_by }} as position, {{ expression }} as value))),
                item -> item.value
            ),
            '{{ separator }}'
        ),
        ''
    )
{%- endmacro %}
