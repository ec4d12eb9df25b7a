-- The lines of therapy under the rule set that the study chose; every other rule set is in the mart
-- for sensitivity analyses.

select lines_of_therapy.*
from {{ ref('lines_of_therapy') }} as lines_of_therapy
inner join {{ ref('studies') }} as studies
    on
        lines_of_therapy.study_id = studies.study_id
        and lines_of_therapy.rule_set_id = studies.line_rule_set_id
