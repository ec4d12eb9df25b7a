-- Nothing is derived from an extract that a blocking check refuses: every model after staging waits for
-- this one (pre-hook in dbt_project.yml). Naming the source runs the checks (expectations/gate.py).

{% for table in delivered_tables() -%}
{%- do ref('stg_common__' ~ table) -%}
{%- endfor -%}
{%- do ref('quarantine') -%}
{%- do ref('source_files') -%}
select * from {{ gate('extract') }}
