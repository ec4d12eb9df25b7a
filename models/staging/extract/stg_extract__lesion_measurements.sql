{{ typed_source('lesion_measurements') }}
