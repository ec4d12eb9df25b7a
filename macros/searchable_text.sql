{# Free text for searching: half-width and lower case. `translate` does what NFKC does to this block. #}
{% macro searchable_text(text) -%}
lower(
    translate(
        {{ text }},
        '０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ'
        || 'ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ（）［］／＋．，：；－‐‑–—　',
        '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'
        || 'abcdefghijklmnopqrstuvwxyz()[]/+.,:;----- '
    )
)
{%- endmacro %}


{# The Latin words of a searchable text between single spaces, so that ' lv ' finds a word, not a part. #}
{% macro latin_words(text) -%}
    {{ return(adapter.dispatch('latin_words')(text)) }}
{%- endmacro %}

{% macro default__latin_words(text) -%}
    regexp_replace(' ' || {{ text }} || ' ', '[^a-z0-9]+', ' ', 'g')
{%- endmacro %}

{% macro spark__latin_words(text) -%}
    regexp_replace(' ' || {{ text }} || ' ', '[^a-z0-9]+', ' ')
{%- endmacro %}
