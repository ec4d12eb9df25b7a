{# Whole days from one date to another; negative if the second is earlier. #}
{% macro days_between(start_date, end_date) -%}
    {{ return(adapter.dispatch('days_between')(start_date, end_date)) }}
{%- endmacro %}

{% macro default__days_between(start_date, end_date) -%}
    cast(date_diff('day', {{ start_date }}, {{ end_date }}) as int)
{%- endmacro %}

{% macro spark__days_between(start_date, end_date) -%}
    datediff({{ end_date }}, {{ start_date }})
{%- endmacro %}


{# Completed years from one date to another: an age, not a count of New Year's days. #}
{% macro completed_years(start_date, end_date) -%}
    {{ return(adapter.dispatch('completed_years')(start_date, end_date)) }}
{%- endmacro %}

{% macro default__completed_years(start_date, end_date) -%}
    cast(date_sub('year', {{ start_date }}, {{ end_date }}) as int)
{%- endmacro %}

{% macro spark__completed_years(start_date, end_date) -%}
    cast(floor(months_between({{ end_date }}, {{ start_date }}) / 12) as int)
{%- endmacro %}
