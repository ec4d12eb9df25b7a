{{ typed_source('patients') }}
