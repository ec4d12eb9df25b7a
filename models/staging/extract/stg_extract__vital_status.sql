{{ typed_source('vital_status') }}
