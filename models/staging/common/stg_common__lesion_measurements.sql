with typed as (
    {{ typed_source('lesion_measurements') }}
)

select
    src_rid,
    patient_key,
    measurement_id,
    assessment_id,
    lesion_id,
    lesion_role,
    organ,
    is_lymph_node,
    longest_diameter_mm,
    short_axis_mm,
    lesion_status,
    measured_date
from typed
where reject_reason is null
