-- The size of a lesion is its longest diameter, of a lymph node the short axis (RECIST 1.1,
-- Eisenhauer 2009, 4.2); of a lesion that may be either it is unknown. Where a row does not say
-- whether it is a node, another row of the same lesion does, or its organ, which may stand in another
-- row, too. That is ours: in the contract a regional node may stand under the bowel or another organ,
-- under no other.

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
)

select
    patient_key,
    assessment_id,
    lesion_id,
    lesion_role,
    lesion_status,
    measured_date,
    is_node,
    case
        when is_node then short_axis_mm
        when not is_node then longest_diameter_mm
    end as size_mm,
    src_rid
from lesions
