{# The value in the row where the position is smallest; NULL if it is missing there. DuckDB's `min_by`
   passes over a missing value to the next row's, which would then speak for another row. #}
{% macro value_at_min(value, position) -%}
    {{ return(adapter.dispatch('value_at_min')(value, position)) }}
{%- endmacro %}

{% macro default__value_at_min(value, position) -%}
    arg_min_null({{ value }}, {{ position }})
{%- endmacro %}

{% macro spark__value_at_min(value, position) -%}
    min_by({{ value }}, {{ position }})
{%- endmacro %}

{# The same where the position is largest. #}
{% macro value_at_max(value, position) -%}
    {{ return(adapter.dispatch('value_at_max')(value, position)) }}
{%- endmacro %}

{% macro default__value_at_max(value, position) -%}
    arg_max_null({{ value }}, {{ position }})
{%- endmacro %}

{% macro spark__value_at_max(value, position) -%}
    max_by({{ value }}, {{ position }})
{%- endmacro %}
