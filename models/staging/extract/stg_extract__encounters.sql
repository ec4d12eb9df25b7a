{{ typed_source('encounters') }}
