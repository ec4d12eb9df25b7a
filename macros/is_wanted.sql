{# Whether a line of int_endpoint_lines is followed under a rule set: the study's own lines under every
   endpoint rule set, lines of other rule sets under the study's own where the endpoint says so; all but
   the study's own of both only for whom it asks its sensitivity analyses of (seed studies). Lines of
   other rule sets are there for nobody else. #}
{% macro is_wanted(lines, rule_sets) -%}
    case
        when {{ lines }}.endpoint_rule_set_id = {{ rule_sets }}.endpoint_rule_set_id
            then {{ lines }}.is_own or {{ rule_sets }}.line_rule_sets = 'all'
        else {{ lines }}.is_own and {{ lines }}.in_sensitivity
    end
{%- endmacro %}
