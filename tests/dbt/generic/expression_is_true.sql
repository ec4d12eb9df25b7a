{# Fails with every row for which the expression is not true; NULL fails too. #}
{% test expression_is_true(model, expression) %}
select *
from {{ model }}
where ({{ expression }}) is not true
{% endtest %}
