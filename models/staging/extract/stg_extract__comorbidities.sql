{{ typed_source('comorbidities') }}
