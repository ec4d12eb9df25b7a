{{ typed_source('diagnoses') }}
