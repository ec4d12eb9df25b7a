{{ typed_source('tumour_assessments') }}
