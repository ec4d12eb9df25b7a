{{ typed_source('adverse_events') }}
