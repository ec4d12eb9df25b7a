{# The tables of the extract contract. dbt needs the names before it has read the contract, so they are
   listed here, and a list that has fallen behind the contract stops the run. #}
{% macro delivered_tables() -%}
{%- set names = [
    'delivery', 'patients', 'diagnoses', 'metastases', 'pathology', 'molecular_tests',
    'drug_administrations', 'procedures', 'tumour_assessments', 'lesion_measurements',
    'adverse_events', 'performance_status', 'comorbidities', 'encounters', 'vital_status', 'consent',
] -%}
{%- if execute -%}
{%- set contracted = [] -%}
{%- for node in graph.sources.values() if node.source_name == 'extract' and node.name != 'files' -%}
{%- do contracted.append(node.name) -%}
{%- endfor -%}
{%- if contracted | sort != names | sort -%}
{%- do exceptions.raise_compiler_error('macros/delivered_tables.sql does not list the tables of the extract contract') -%}
{%- endif -%}
{%- endif -%}
{{ return(names) }}
{%- endmacro %}


{# Lands the delivery and makes the raw tables: dbt-duckdb calls the loader (pipeline/delivery.py) for the
   one source that is named here. #}
{% macro load_delivery() -%}
    {{ return(adapter.dispatch('load_delivery')()) }}
{%- endmacro %}

{% macro default__load_delivery() -%}
{%- do source('extract', 'files') -%}
select 1
{%- endmacro %}

{# The raw tables that pipeline/spark.py has written. #}
{% macro spark__load_delivery() -%}
{%- do run_query('create schema if not exists raw') -%}
{%- for table in ['files'] + delivered_tables() -%}
{%- set file = env_var('RWE_SPARK_WAREHOUSE', 'build/spark') ~ '/raw/' ~ table ~ '.parquet' -%}
{%- do run_query('create or replace view raw.' ~ table ~ ' as select * from parquet.`' ~ file ~ '`') -%}
{%- endfor -%}
select 1
{%- endmacro %}
