{{ typed_source('consent') }}
