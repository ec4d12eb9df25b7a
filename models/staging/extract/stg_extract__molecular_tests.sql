{{ typed_source('molecular_tests') }}
