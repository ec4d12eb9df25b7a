{{ typed_source('pathology') }}
