{{ typed_source('delivery') }}
