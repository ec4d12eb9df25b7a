{#
    Casts every column of a delivered table to the kind its contract names and says, in `reject_reason`,
    which columns could not be read. Rows with a reason go to quarantine; nothing is dropped.
    A row that repeats an earlier one, value for value, is left out: it says nothing new.
    The contract is models/staging/extract/extract_contract.yml.
#}
{% macro typed_source(table_name) -%}
{%- if execute -%}
{%- set columns = value_columns(table_name) -%}
select
    src_rid,
    {%- if has_patient(table_name) %}
    patient_key,
    {%- endif %}
    {%- for column in columns %}
    {%- if column.config.meta.kind == 'partial_date' %}
    {{ date_bound(column.name, 'earliest') }} as {{ column.name }}_earliest,
    {{ date_bound(column.name, 'latest') }} as {{ column.name }}_latest,
    {{ date_precision(column.name) }} as {{ column.name }}_precision,
    {%- else %}
    {{ typed_value(column) }} as {{ column.name }},
    {%- endif %}
    {%- endfor %}
    {{ reject_reason(table_name) }} as reject_reason
from {{ source('extract', table_name) }}
where duplicate_of is null
{%- endif -%}
{%- endmacro %}


{# Which columns of a delivered row could not be read; NULL if all could. #}
{% macro reject_reason(table_name) -%}
{%- if execute -%}
    {%- set columns = value_columns(table_name) -%}
    nullif(
        concat_ws(
            '; ',
            load_fault,
            {%- if has_patient(table_name) %}
            case when patient_key is null and load_fault is null then 'patient_id: missing' end,
            {%- endif %}
            {%- for column in columns %}
            {%- set unreadable = typed_value(column) ~ ' is null' %}
            {%- if column.config.meta.required %}
            case
                when nullif(trim({{ column.name }}), '') is null and load_fault is null
                    then '{{ column.name }}: missing'
            end,
            {%- endif %}
            {%- if column.config.meta.kind != 'text' %}
            case
                when nullif(trim({{ column.name }}), '') is not null and {{ unreadable }}
                    then '{{ column.name }}: not a {{ expected_value(column) }}'
            end,
            {%- endif %}
            {%- endfor %}
            cast(null as string)
        ),
        ''
    )
{%- endif -%}
{%- endmacro %}


{% macro contracted_columns(table_name) -%}
{{ return(graph.sources['source.' ~ project_name ~ '.extract.' ~ table_name].columns.values() | list) }}
{%- endmacro %}

{# The patient's number is no value: a pseudonym stands for it from the loader on. #}
{% macro value_columns(table_name) -%}
{{ return(contracted_columns(table_name) | rejectattr('config.meta.role', 'equalto', 'patient') | list) }}
{%- endmacro %}

{% macro has_patient(table_name) -%}
{{ return(value_columns(table_name) | length < contracted_columns(table_name) | length) }}
{%- endmacro %}


{#
    The engines read more as a number than the contract does, each its own: 1_000, nan, 5d. So its characters
    are looked at, too. Where the contract knows no bound, it is that of a number too large to hold.
#}
{% macro typed_value(column) -%}
{%- set kind = column.config.meta.kind -%}
{%- set value = 'trim(' ~ column.name ~ ')' -%}
{%- set number = 'try_cast(' ~ value ~ ' as double)' -%}
{%- set low = column.config.meta.get('min', '-1e300') -%}
{%- set high = column.config.meta.get('max', '1e300') -%}
{%- if kind == 'code' -%}
case lower({{ value }})
{%- for code, spellings in column.config.meta.codes.items() %}
{%- for spelling in ([code] + spellings) | map('lower') | unique %} when '{{ spelling }}' then '{{ code }}'
{%- endfor %}
{%- endfor %} end
{%- elif kind == 'number' or kind == 'integer' -%}
case
    when
        {{ number }} between {{ low }} and {{ high }}
        {%- if kind == 'integer' %} and {{ number }} = floor({{ number }}){% endif %}
        and regexp_replace({{ value }}, '[^0-9+.eE-]', '') = {{ value }}
        then {% if kind == 'integer' %}cast({{ number }} as int){% else %}{{ number }}{% endif %}
end
{%- elif kind == 'date' -%}
{{ whole_date(value) }}
{%- elif kind == 'partial_date' -%}
{{ date_bound(column.name, 'earliest') }}
{%- else -%}
nullif({{ value }}, '')
{%- endif -%}
{%- endmacro %}


{#
    A day of the calendar, written as such: the engines read more as a date, 20-3-31 with an hour behind it
    and the year 0 among it. What is read must be what was written.
#}
{% macro whole_date(value) -%}
case
    when
        cast(try_cast({{ value }} as date) as string) = {{ value }}
        and {{ value }} >= '0001'
        and {{ value }} like '____-__-__'
        then try_cast({{ value }} as date)
end
{%- endmacro %}


{# The first or last day that a date of any precision may mean. #}
{% macro date_bound(column_name, side) -%}
{%- set value = 'trim(' ~ column_name ~ ')' -%}
case
    when {{ value }} like '____-__-__' then {{ whole_date(value) }}
    {%- if side == 'earliest' %}
    when {{ value }} like '____-__' then {{ whole_date('(' ~ value ~ " || '-01')") }}
    when {{ value }} like '____' then {{ whole_date('(' ~ value ~ " || '-01-01')") }}
    {%- else %}
    when {{ value }} like '____-__' then last_day({{ whole_date('(' ~ value ~ " || '-01')") }})
    when {{ value }} like '____' then {{ whole_date('(' ~ value ~ " || '-12-31')") }}
    {%- endif %}
end
{%- endmacro %}


{% macro date_precision(column_name) -%}
{%- set value = 'trim(' ~ column_name ~ ')' -%}
case
    when {{ value }} like '____-__-__' then 'day'
    when {{ value }} like '____-__' then 'month'
    when {{ value }} like '____' then 'year'
end
{%- endmacro %}


{% macro expected_value(column) -%}
{%- set meta = column.config.meta -%}
{{- {
    'code': 'code of the contract',
    'number': 'number in range',
    'integer': 'whole number in range',
    'date': 'date (YYYY-MM-DD)',
    'partial_date': 'date (YYYY-MM-DD, YYYY-MM or YYYY)',
}[meta.kind] -}}
{%- endmacro %}
