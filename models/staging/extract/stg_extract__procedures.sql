{{ typed_source('procedures') }}
