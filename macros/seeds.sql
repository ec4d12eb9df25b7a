{# dbt-spark writes a missing value of a seed as 'None' and does not escape quotes. #}
{% macro spark__load_csv_rows(model, agate_table) -%}
{%- set types = model.config.column_types -%}
{%- set statement -%}
insert into {{ this }} values
{%- for row in agate_table.rows %}
(
    {%- for value in row -%}
    {%- set column_name = agate_table.column_names[loop.index0] -%}
    {%- set type = types.get(column_name, adapter.convert_type(agate_table, loop.index0)) -%}
    {%- if value is none -%}
    cast(null as {{ type }})
    {%- else -%}
    cast('{{ value | string | replace("\\", "\\\\") | replace("'", "\\'") }}' as {{ type }})
    {%- endif -%}
    {{ ', ' if not loop.last }}
    {%- endfor -%}
){{ ',' if not loop.last }}
{%- endfor %}
{%- endset -%}
{%- if agate_table.rows -%}
{%- do run_query(statement) -%}
{%- endif -%}
{{ return(statement) }}
{%- endmacro %}

{# dbt-duckdb reads a seed where the project lay when it was parsed, which may be another folder now. #}
{% macro duckdb__load_csv_rows(model, agate_table) -%}
{%- set file = (invocation_args_dict.project_dir ~ '/' ~ model.original_file_path) | replace("'", "''") -%}
{#- Nothing is guessed: a date of another form is that of its row, not what all dates are read as. -#}
{%- set form = "format csv, header, auto_detect false, delimiter ',', quote '\"', escape '\"', dateformat '%Y-%m-%d'" -%}
{%- set statement = "copy " ~ this ~ " from '" ~ file ~ "' (" ~ form ~ ")" -%}
{%- do adapter.add_query(statement, abridge_sql_log=True) -%}
{{ return(statement) }}
{%- endmacro %}
