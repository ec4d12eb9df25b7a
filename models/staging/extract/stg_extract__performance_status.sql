{{ typed_source('performance_status') }}
