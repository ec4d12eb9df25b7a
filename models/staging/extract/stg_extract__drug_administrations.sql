{{ typed_source('drug_administrations') }}
