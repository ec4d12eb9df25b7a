{# Where the verdict of a gate stands: dbt-duckdb runs its checks (expectations/gate.py) when the source is
   named. Great Expectations reads DuckDB, so that with Spark the checks run once its tables have been read
   back (pipeline/spark.py). #}
{% macro gate(name) -%}
{%- if target.type == 'duckdb' -%}
{{ source('expectations', name ~ '_checks') }}
{%- else -%}
(select 'not_run' as status, 0 as n_checks) as {{ name }}_checks
{%- endif -%}
{%- endmacro %}
