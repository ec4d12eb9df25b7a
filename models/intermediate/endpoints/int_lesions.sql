-- The size of a lesion is its longest diameter, of a lymph node the short axis (RECIST 1.1,
-- Eisenhauer 2009, 4.2); of a lesion that may be either it is unknown. Where a row does not say
-- whether it is a node, another row of the same lesion does, or its organ, which may stand in another
-- row, too. That is ours: in the contract a regional node may stand under the bowel or another organ,
-- under no other. From which size on a lesion is measurable says the seed response_criteria.

with lesions as (
    select
        *,
        coalesce(
            is_lymph_node,
            max(is_lymph_node) over rows_of_lesion,
            max(
                case
                    when organ = 'distant_lymph_node' then 'yes'
                    when organ not in ('colorectum', 'other') then 'no'
                end
            ) over rows_of_lesion
        ) = 'yes' as is_node
    from {{ ref('stg_common__lesion_measurements') }}
    window rows_of_lesion as (partition by patient_key, lesion_id)
),

sized as (
    select
        *,
        case
            when is_node then short_axis_mm
            when not is_node then longest_diameter_mm
        end as size_mm
    from lesions
)

select
    sized.patient_key,
    sized.assessment_id,
    sized.lesion_id,
    sized.lesion_role,
    sized.lesion_status,
    sized.measured_date,
    sized.is_node,
    sized.size_mm,
    sized.size_mm
    >= case when sized.is_node then criteria.measurable_node_mm else criteria.measurable_mm end
        as is_measurable,
    sized.src_rid
from sized
cross join {{ ref('response_criteria') }} as criteria
where criteria.response_criteria_id = 'recist_1_1'
