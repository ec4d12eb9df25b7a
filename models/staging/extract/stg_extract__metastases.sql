{{ typed_source('metastases') }}
