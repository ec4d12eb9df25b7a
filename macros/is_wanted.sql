{# Whether a line of int_endpoint_lines is followed under an endpoint rule set. Under the study's own:
   the study's own lines, and those of other line rule sets where the endpoint says so. Under any other:
   the study's own lines, of the patients of whom it asks its sensitivity analyses (seed studies); lines
   of other line rule sets are there for these patients only. #}
{% macro is_wanted(lines, rule_sets) -%}
    case
        when {{ lines }}.endpoint_rule_set_id = {{ rule_sets }}.endpoint_rule_set_id
            then {{ lines }}.is_own or {{ rule_sets }}.line_rule_sets = 'all'
        else {{ lines }}.is_own and {{ lines }}.in_sensitivity
    end
{%- endmacro %}
