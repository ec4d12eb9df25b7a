"""Each check of the catalogue passes on the clean case; a violation planted in it trips it."""

from __future__ import annotations

from pathlib import Path

import pytest
from clean_case import Spoil

from expectations.catalogue import read_checks
from expectations.checks import Check
from expectations.run import run

CHECKS = {f"{check.check_id} {check.table}": check for check in read_checks()}

LATE = "2021-02-20"  # after the study's data cut-off
AFTER_DEATH = "date '2020-07-01'"
LAST_DAY = "date '2020-06-02'"  # on which the patient may have been alive
BIRTH = "date '1960-01-01'"

EVENTS = (
    *("diagnoses", "metastases", "pathology", "molecular_tests", "drug_administrations"),
    *("procedures", "tumour_assessments", "lesion_measurements", "adverse_events"),
    *("performance_status", "comorbidities", "encounters"),
)

# What one patient cannot show: after these, the check has something to look at, and passes.
PREPARATIONS = {
    "PAT-010 cohort.cohort": """
        insert into staging.stg_common__consent (patient_key, purpose, decision, consent_date)
        values ('p2', 'research', 'withdrawn', date '2019-05-01');
        insert into cohort.cohort (patient_key, included) values ('p2', false)""",
    "PTH-005 staging.stg_common__pathology": """
        insert into staging.stg_common__pathology (her2_ihc_pct) select 60 from range(20)""",
    "PTH-007 staging.stg_common__pathology": """
        insert into staging.stg_common__pathology (her2_ihc_score, her2_ihc_pct) values ('0', 5)""",
    "MOL-010 staging.stg_common__molecular_tests": """
        insert into staging.stg_common__metastases (patient_key, metastasis_date)
        select 'm' || number, make_date(2011 + (number // 20)::int, 6, 1)
        from range(100) as numbers (number);
        insert into staging.stg_common__molecular_tests (patient_key)
        select 'm' || number from range(100) as numbers (number) where number % 20 < 15""",
    "DRG-013 staging.stg_common__drug_administrations": """
        insert into staging.stg_common__drug_administrations (src_rid, start_date)
        select number, date '2018-01-01' + (number % 300)::int
        from range(3000) as numbers (number)""",
    "TUM-011 survival.recist_assessments": """
        insert into cohort.cohort (study_id, patient_key, included)
        select 'her2_mcrc', 'g' || number, true from range(60) as numbers (number);
        insert into cohort.patient_variables (study_id, patient_key, variable, level)
        select 'her2_mcrc', 'g' || number, 'first_line_group', number % 2
        from range(60) as numbers (number);
        insert into survival.recist_assessments
            (study_id, patient_key, line_number, assessment_date)
        select 'her2_mcrc', 'g' || number, 1, date '2019-01-01' + (60 * visit)::int
        from range(60) as numbers (number) cross join range(2) as visits (visit)""",
}

VIOLATIONS = {
    "VIT-003 staging.stg_common__vital_status": """
        update staging.stg_common__vital_status set death_date_earliest = date '2020-07-15',
        death_date_latest = date '2020-07-15' where source = 'registry' and status = 'dead'""",
    "VIT-005 intermediate.int_vital_status": """
        update intermediate.int_vital_status set last_contact_date = date '2020-05-29'""",
    "VIT-006 cohort.cohort": """
        update intermediate.int_vital_status set status = 'alive'""",
    "VIT-008 staging.stg_common__vital_status": """
        update staging.stg_common__vital_status set last_contact_date = date '2020-06-03'
        where status = 'alive'""",
    "PAT-002 staging.stg_common__patients": """
        insert into staging.stg_common__patients by name select * replace ('p2' as
        patient_key) from staging.stg_common__patients;
        insert into staging.stg_common__diagnoses by name select * replace ('p2' as
        patient_key) from staging.stg_common__diagnoses""",
    "PAT-003 staging.stg_common__patients": """
        insert into staging.stg_common__patients by name select * replace ('female' as sex)
        from staging.stg_common__patients""",
    "PAT-004 staging.stg_common__patients": """
        update staging.stg_common__patients set birth_date_latest = date '1899-12-31'""",
    "PAT-005 cohort.patient_characteristics": """
        update cohort.patient_characteristics set age_at_index = 17""",
    "PAT-006 cohort.patient_characteristics": """
        update cohort.patient_characteristics set age_at_index = 106""",
    "PAT-007 staging.stg_common__patients": """
        update staging.stg_common__patients set sex = 'unknown'""",
    "PAT-008 staging.stg_common__patients": """
        update staging.stg_common__patients set patient_key = 'p2'""",
    "PAT-010 cohort.cohort": """
        update cohort.cohort set included = true""",
    "DX-001 staging.stg_common__diagnoses": """
        update staging.stg_common__diagnoses set icdo3_topography = '153.3'""",
    "DX-001 staging.stg_common__comorbidities": """
        update staging.stg_common__comorbidities set icd10 = '250.00'""",
    "DX-003 staging.stg_common__diagnoses": f"""
        update staging.stg_common__diagnoses set diagnosis_date_earliest = {AFTER_DEATH}""",
    "DX-005 staging.stg_common__diagnoses": """
        update staging.stg_common__diagnoses set stage = 'II'""",
    "DX-006 staging.stg_common__diagnoses": """
        update staging.stg_common__diagnoses set icdo3_topography = 'C56.9'""",
    "DX-007 staging.stg_common__diagnoses": """
        insert into staging.stg_common__diagnoses by name select * replace ('C18.9' as
        icdo3_topography) from staging.stg_common__diagnoses""",
    "DX-008 staging.stg_common__diagnoses": """
        update staging.stg_common__pathology set collected_date = date '2019-07-01'""",
    "DX-010 staging.stg_common__metastases": """
        update staging.stg_common__diagnoses set patient_key = 'p2'""",
    "DX-009 cohort.cohort": """
        insert into intermediate.int_primary_diagnosis from intermediate.int_primary_diagnosis""",
    "PTH-001 staging.stg_common__pathology": """
        insert into staging.stg_common__pathology by name select * replace ('1+' as
        her2_ihc_score) from staging.stg_common__pathology where accession_no = 's2'""",
    "PTH-005 staging.stg_common__pathology": """
        update staging.stg_common__pathology set her2_ihc_pct = her2_ihc_pct / 100""",
    "PTH-006 staging.stg_common__pathology": """
        update staging.stg_common__pathology set her2_ihc_pct = 5 where her2_ihc_score = '3+'""",
    "PTH-007 staging.stg_common__pathology": """
        update staging.stg_common__pathology set her2_ihc_pct = 30 where her2_ihc_score = '0'""",
    "PTH-013 cohort.biomarkers": """
        update cohort.biomarkers set status = 'negative' where biomarker = 'HER2'""",
    "PTH-015 staging.stg_common__pathology": f"""
        update staging.stg_common__pathology set collected_date = {AFTER_DEATH}""",
    "PTH-016 staging.stg_common__pathology": """
        update staging.stg_common__pathology set her2_ihc_score = '0' where her2_ihc_score =
        '2+'""",
    "MOL-003 staging.stg_common__molecular_tests": """
        update staging.stg_common__molecular_tests set variant = 'p.V600E' , gene = 'KRAS',
        region = 'exon 2' where variant = 'p.G12C';
        update staging.stg_common__molecular_tests set variant = 'p.D12G' where variant =
        'p.V600E'""",
    "MOL-007 staging.stg_common__molecular_tests": """
        update staging.stg_common__molecular_tests set accession_no = 's2'""",
    "MOL-008 staging.stg_common__molecular_tests": f"""
        update staging.stg_common__molecular_tests set collected_date = {AFTER_DEATH}""",
    "MOL-009 survival.survival_intervals": """
        update survival.survival_intervals set entry_days = null""",
    "MOL-010 staging.stg_common__molecular_tests": """
        delete from staging.stg_common__molecular_tests where patient_key like 'm2_' or
        patient_key like 'm3_'""",
    "DRG-003 intermediate.int_drug_exposures": """
        update intermediate.int_drug_exposures set start_date = date '2019-01-01'""",
    "DRG-005 treatment.exposure_assignments": """
        update staging.stg_common__drug_administrations set record_status = 'planned'""",
    "DRG-006 staging.stg_common__drug_administrations": """
        insert into staging.stg_common__drug_administrations from
        staging.stg_common__drug_administrations""",
    "DRG-007 staging.stg_common__drug_administrations": """
        update staging.stg_common__drug_administrations set dose_unit = null""",
    "DRG-010 intermediate.int_drug_exposures": """
        update staging.stg_common__pathology set her2_ihc_score = '1+', her2_ish_ratio = null""",
    "DRG-012 intermediate.int_drug_exposures": """
        update intermediate.int_drug_exposures set start_date = date '1992-12-31'""",
    "DRG-013 staging.stg_common__drug_administrations": """
        delete from staging.stg_common__drug_administrations where month(start_date) = 5 and
        year(start_date) = 2018""",
    "PRC-001 staging.stg_common__procedures": """
        update staging.stg_common__procedures set procedure_code = 'resection'""",
    "PRC-002 staging.stg_common__procedures": """
        update staging.stg_common__lesion_measurements set organ = 'colorectum'""",
    "PRC-004 staging.stg_common__procedures": """
        update staging.stg_common__procedures set procedure_date = date '2019-03-09'""",
    "TUM-002 staging.stg_common__tumour_assessments": """
        update staging.stg_common__tumour_assessments set overall_response = 'SD' where
        timepoint = 'baseline'""",
    "TUM-003 survival.recist_assessments": """
        update staging.stg_common__tumour_assessments set assessment_date = date '2019-01-30'
        where timepoint = 'baseline'""",
    "TUM-004 survival.survival_intervals": """
        update survival.survival_intervals set src_rids = [] where endpoint = 'PFS'""",
    "TUM-005 survival.survival_intervals": """
        update staging.stg_common__tumour_assessments set overall_response = 'PD' where
        assessment_id = 't2'""",
    "TUM-006 survival.recist_assessments": """
        update survival.recist_assessments set recorded_response = 'PD' where assessment_date
        = date '2019-06-01';
        update survival.recist_assessments set recorded_response = 'SD' where assessment_date
        = date '2019-08-01'""",
    "TUM-010 survival.recist_assessments": """
        update survival.recist_assessments set assessment_date = date '2019-12-01' where
        recorded_response = 'PD';
        update survival.survival_intervals set end_date = date '2019-12-01'""",
    "TUM-011 survival.recist_assessments": """
        update survival.recist_assessments set assessment_date = assessment_date + 60 where
        assessment_date > date '2019-01-01' and regexp_matches(patient_key, 'g.*[13579]$')""",
    "LES-003 intermediate.int_lesions": """
        update intermediate.int_lesions set is_measurable = false""",
    "LES-004 staging.stg_common__lesion_measurements": """
        insert into staging.stg_common__lesion_measurements by name select lesions.* replace
        ('x' || number as lesion_id) from staging.stg_common__lesion_measurements as lesions
        cross join range(2) as numbers (number)""",
    "LES-005 survival.recist_assessments": """
        update survival.recist_assessments set recorded_target_response = 'SD'""",
    "LES-006 survival.recist_assessments": """
        update survival.recist_assessments set n_target_lesions_measured = 0""",
    "AE-005 safety.adverse_events": """
        update safety.adverse_events set days_from_line_start = -1""",
    "MRT-002 treatment.lines_of_therapy": """
        update treatment.exposure_assignments set start_date = date '2019-04-02' where
        line_number = 1""",
    "VIT-001 staging.stg_common__vital_status": """
        update staging.stg_common__vital_status
        set death_date_earliest = null, death_date_latest = null, death_date_precision = null""",
    "VIT-002 staging.stg_common__vital_status": """
        update staging.stg_common__vital_status set death_date_latest = date '1959-12-31'
        where status = 'dead'""",
    "VIT-004 staging.stg_common__vital_status": f"""
        update staging.stg_common__encounters set start_date = {AFTER_DEATH}""",
    "DX-002 staging.stg_common__diagnoses": """
        update staging.stg_common__diagnoses set diagnosis_date_latest = date '1959-12-31'""",
    "DX-004 staging.stg_common__metastases": """
        update staging.stg_common__metastases set metastasis_date = date '2019-02-28'""",
    "PTH-002 staging.stg_common__pathology": """
        update staging.stg_common__molecular_tests set patient_key = 'p2' where test_id = 'm1'""",
    "PTH-009 staging.stg_common__pathology": """
        update staging.stg_common__pathology set her2_copy_number = 2, cep17_copy_number = 5""",
    "PTH-012 staging.stg_common__pathology": """
        update staging.stg_common__pathology set her2_ish_ratio = null""",
    "MOL-004 cohort.biomarkers": """
        update cohort.biomarkers set biomarker = 'RAS_BRAF'""",
    "MOL-005 staging.stg_common__molecular_tests": """
        update staging.stg_common__molecular_tests set result = 'mutated'""",
    "DRG-001 intermediate.int_drug_exposures": """
        update intermediate.int_drug_exposures set ingredient = null""",
    "DRG-002 staging.stg_common__drug_administrations": f"""
        update staging.stg_common__drug_administrations set start_date = {AFTER_DEATH}""",
    "DRG-004 staging.stg_common__drug_administrations": """
        update staging.stg_common__drug_administrations set end_date = start_date - 1""",
    "DRG-011 intermediate.int_drug_exposures": """
        update staging.stg_common__molecular_tests set result = 'mutated' where gene = 'KRAS'""",
    "TUM-007 staging.stg_common__tumour_assessments": """
        update staging.stg_common__tumour_assessments set new_lesion = 'yes'""",
    "TUM-008 staging.stg_common__tumour_assessments": f"""
        update staging.stg_common__tumour_assessments set assessment_date = {AFTER_DEATH}""",
    "TUM-009 staging.stg_common__tumour_assessments": """
        insert into staging.stg_common__tumour_assessments by name
        select * replace ('SD' as overall_response) from staging.stg_common__tumour_assessments""",
    "LES-001 staging.stg_common__lesion_measurements": """
        update staging.stg_common__lesion_measurements set longest_diameter_mm = 0""",
    "LES-002 staging.stg_common__lesion_measurements": """
        update staging.stg_common__lesion_measurements set longest_diameter_mm = 3
        where measurement_id = 'l2'""",
    "LES-007 staging.stg_common__lesion_measurements": """
        update staging.stg_common__tumour_assessments set patient_key = 'p2'""",
    "AE-002 staging.stg_common__adverse_events": """
        update staging.stg_common__adverse_events set grade = '4' where term = 'Nausea'""",
    "AE-003 staging.stg_common__adverse_events": """
        delete from staging.stg_common__vital_status where status = 'dead'""",
    "AE-004 staging.stg_common__adverse_events": """
        update staging.stg_common__adverse_events set end_date = onset_date - 1""",
    "MRT-001 treatment.lines_of_therapy": """
        delete from treatment.lines_of_therapy where line_number = 1""",
    "MRT-003 survival.survival_intervals": """
        update survival.survival_intervals set time_days = -1 where endpoint = 'OS'""",
    "MRT-005 survival.survival_intervals": """
        update survival.survival_intervals set time_days = 428 where endpoint = 'PFS'""",
    "MRT-006 cohort.cohort_attrition": """
        update cohort.cohort_attrition set n_unknown = 2 where step = 2""",
    "MRT-015 cohort.cohort": "update cohort.cohort set index_date = index_date + 1",
    "MRT-014 survival.survival_intervals": """
        update survival.survival_intervals set event = false where endpoint = 'OS'""",
    **{
        f"MRT-007 {table}": f"update {table} set src_rids = []"
        for table in (
            "cohort.cohort",
            "cohort.biomarkers",
            "cohort.patient_characteristics",
            "treatment.lines_of_therapy",
            "survival.survival_intervals",
            "survival.response_by_line",
            "safety.adverse_events",
            "safety.adverse_events_by_patient",
        )
    },
    **{
        f"MRT-010 {table}": f"update {table} set {column} = date '{LATE}'"
        for table, column in (
            ("cohort.cohort", "index_date"),
            ("cohort.biomarkers", "known_date"),
            ("treatment.lines_of_therapy", "start_date"),
            ("survival.survival_intervals", "end_date"),
            ("survival.recist_assessments", "assessment_date"),
            ("survival.response_by_line", "response_date"),
            ("safety.adverse_events", "onset_date"),
        )
    },
}

S = "staging.stg_common__"

# What a rule just allows, just forbids, and is not about, beside what follows with its reason.
LIMITS = {
    "VIT-002 staging.stg_common__vital_status": [
        (f"update {S}vital_status set death_date_latest = {BIRTH} where status = 'dead'", "pass"),
    ],
    "VIT-003 staging.stg_common__vital_status": [
        (
            f"update {S}vital_status set death_date_earliest = date '2020-07-01', "
            "death_date_latest = date '2020-07-01' where source = 'registry' and status = 'dead'",
            "pass",
        ),
        (
            VIOLATIONS["VIT-003 staging.stg_common__vital_status"]
            + f"; update {S}vital_status set source = 'registry'",
            "not_applicable",
        ),
    ],
    "VIT-004 staging.stg_common__vital_status": [
        (f"update {S}encounters set start_date = {LAST_DAY}", "pass"),
        (
            f"update {S}encounters set start_date = {AFTER_DEATH}, encounter_type = null",
            "fail",
        ),
        *(
            (f"update {S}{table} set {column} = {AFTER_DEATH}", "fail")
            for table, column in (
                ("procedures", "procedure_date"),
                ("tumour_assessments", "assessment_date"),
                ("performance_status", "assessed_date"),
                ("adverse_events", "onset_date"),
                ("drug_administrations", "start_date"),
            )
        ),
        *(
            (
                f"update {S}drug_administrations set start_date = {AFTER_DEATH}, "
                f"{column} = '{code}'",
                "pass",
            )
            for column, code in (("record_status", "planned"), ("record_type", "dispensing"))
        ),
    ],
    "VIT-005 intermediate.int_vital_status": [
        *(
            (f"update {S}{table} set {column} = date '2020-06-10'", "fail")
            for table, column in (
                ("vital_status", "last_contact_date"),
                ("encounters", "end_date"),
                ("drug_administrations", "end_date"),
                ("procedures", "procedure_date"),
                ("tumour_assessments", "assessment_date"),
                ("metastases", "metastasis_date"),
                ("pathology", "collected_date"),
                ("molecular_tests", "collected_date"),
                ("performance_status", "assessed_date"),
                ("adverse_events", "onset_date"),
            )
        ),
        *(
            (
                f"update {S}drug_administrations set end_date = date '2020-06-10', "
                f"{column} = '{code}'",
                "pass",
            )
            for column, code in (("record_status", "planned"), ("record_type", "dispensing"))
        ),
        (
            f"update {S}vital_status set death_date_earliest = date '2020-05-01', "
            "death_date_precision = 'month' where source = 'registry' and status = 'dead'",
            "pass",
        ),
        (
            f"update {S}encounters set end_date = date '2021-03-01'; "
            "update intermediate.int_vital_status set last_contact_date = date '2021-03-01'",
            "fail",
        ),
    ],
    "VIT-006 cohort.cohort": [
        (
            "update intermediate.int_vital_status set status = 'alive'; "
            "update cohort.cohort set included = false",
            "not_applicable",
        ),
    ],
    "VIT-008 staging.stg_common__vital_status": [
        (
            f"update {S}vital_status set death_date_latest = null; "
            f"update {S}vital_status set last_contact_date = {LAST_DAY} where status = 'alive'",
            "fail",
        ),
    ],
    "PAT-002 staging.stg_common__patients": [
        *(
            (f"{VIOLATIONS['PAT-002 staging.stg_common__patients']}; {but}", expected)
            for but, expected in (
                (f"update {S}patients set sex = 'unknown' where patient_key = 'p2'", "pass"),
                (
                    f"update {S}diagnoses set icdo3_topography = 'C18.9' where patient_key = 'p2'",
                    "pass",
                ),
                (f"update {S}patients set birth_date_precision = 'year'", "not_applicable"),
            )
        ),
    ],
    "PAT-003 staging.stg_common__patients": [
        (
            f"insert into {S}patients by name select * replace (birth_date_earliest + 1 as "
            f"birth_date_earliest, birth_date_latest + 1 as birth_date_latest) from {S}patients",
            "fail",
        ),
    ],
    "PAT-004 staging.stg_common__patients": [
        (f"update {S}patients set birth_date_earliest = date '2021-02-02'", "fail"),
        (f"update {S}patients set birth_date_latest = date '1900-01-01'", "pass"),
    ],
    "PAT-005 cohort.patient_characteristics": [
        ("update cohort.patient_characteristics set age_at_index = 18", "pass"),
    ],
    "PAT-006 cohort.patient_characteristics": [
        ("update cohort.patient_characteristics set age_at_index = 105", "pass"),
    ],
    "PAT-007 staging.stg_common__patients": [(f"update {S}patients set sex = null", "fail")],
    "PAT-010 cohort.cohort": [
        (
            PREPARATIONS["PAT-010 cohort.cohort"] + f"; update {S}consent set purpose = 'care'",
            "not_applicable",
        ),
    ],
    "DX-001 staging.stg_common__diagnoses": [
        (f"update {S}diagnoses set icdo3_morphology = '8140'", "fail"),
    ],
    "DX-002 staging.stg_common__diagnoses": [
        (f"update {S}diagnoses set diagnosis_date_latest = {BIRTH}", "pass"),
    ],
    "DX-003 staging.stg_common__diagnoses": [
        (f"update {S}diagnoses set diagnosis_date_earliest = {LAST_DAY}", "pass"),
    ],
    "DX-005 staging.stg_common__diagnoses": [
        (f"update {S}metastases set metastasis_date = date '2019-03-01' + 120", "pass"),
        (
            f"update {S}diagnoses set stage = 'III'; "
            f"update {S}metastases set metastasis_date = date '2019-03-01' + 30",
            "fail",
        ),
        (f"update {S}metastases set diagnosis_id = 'another'", "not_applicable"),
    ],
    "DX-006 staging.stg_common__diagnoses": [
        (
            f"update {S}patients set sex = '{sex}'; "
            f"update {S}diagnoses set icdo3_topography = '{code}'",
            expected,
        )
        for sex, code, expected in (
            ("male", "C58.9", "fail"),
            ("female", "C60.9", "fail"),
            ("female", "C58.9", "pass"),
        )
    ],
    "DX-007 staging.stg_common__diagnoses": [
        (
            f"insert into {S}diagnoses by name select * replace ('{code}' as icdo3_topography, "
            f"diagnosis_date_earliest + {days} as diagnosis_date_earliest) from {S}diagnoses",
            expected,
        )
        for code, days, expected in (
            ("C18.9", 60, "fail"),
            ("C18.9", 61, "pass"),
            ("C18.7", 0, "pass"),
        )
    ],
    "DX-008 staging.stg_common__diagnoses": [
        (f"update {S}pathology set collected_date = date '2019-03-01' - 90", "pass"),
        (
            f"update {S}diagnoses set diagnosis_date_latest = date '2019-03-31'; "
            f"update {S}pathology set collected_date = date '2019-03-31' + 90",
            "pass",
        ),
    ],
    "DX-009 cohort.cohort": [("delete from intermediate.int_primary_diagnosis", "fail")],
    "DX-010 staging.stg_common__metastases": [
        (
            f"insert into {S}diagnoses by name select * replace ('p2' as patient_key) "
            f"from {S}diagnoses",
            "pass",
        ),
    ],
    "PTH-001 staging.stg_common__pathology": [
        (
            f"insert into {S}pathology by name select * replace (2.4 as her2_ish_ratio) "
            f"from {S}pathology where accession_no <> 's2'",
            "fail",
        ),
        (
            f"insert into {S}pathology by name select * replace ('1+' as her2_ihc_score, "
            f"'another' as specimen_type) from {S}pathology where accession_no = 's2'",
            "pass",
        ),
    ],
    "PTH-002 staging.stg_common__pathology": [
        (
            f"update {S}pathology set accession_no = null; update {S}molecular_tests "
            "set accession_no = null, patient_key = 'p2'",
            "not_applicable",
        ),
    ],
    "PTH-005 staging.stg_common__pathology": [
        (f"insert into {S}pathology (her2_ihc_pct) select {value} from range(20)", expected)
        for value, expected in ((0, "pass"), (1, "fail"))
    ],
    "PTH-006 staging.stg_common__pathology": [
        (f"update {S}pathology set her2_ihc_pct = 5, specimen_type = {specimen}", expected)
        for specimen, expected in (("'biopsy'", "not_applicable"), ("null", "fail"))
    ],
    "PTH-007 staging.stg_common__pathology": [
        (f"update {S}pathology set her2_ihc_score = '0', her2_ihc_pct = 10", "pass"),
    ],
    "PTH-009 staging.stg_common__pathology": [
        (f"update {S}pathology set her2_ish_ratio = {ratio} where her2_ish_ratio = 2.5", expected)
        for ratio, expected in ((2.6, "pass"), (2.8, "fail"))
    ],
    "PTH-012 staging.stg_common__pathology": [
        (
            f"update {S}pathology set her2_ish_ratio = if(accession_no = 's2', 2.5, null), "
            f"collected_date = if(accession_no = 's2', collected_date + {days}, collected_date)",
            expected,
        )
        for days, expected in ((180, "pass"), (181, "fail"), (-180, "pass"), (-181, "fail"))
    ],
    "PTH-013 cohort.biomarkers": [
        ("update cohort.biomarkers set status = null where biomarker = 'HER2'", "fail"),
        (f"update {S}pathology set her2_ihc_score = '1+', her2_ish_ratio = null", "fail"),
        *(
            (f"{VIOLATIONS['PTH-013 cohort.biomarkers']}; {but}", "pass")
            for but in (
                f"update {S}pathology set reported_date = date '{LATE}'",
                f"insert into {S}pathology by name select * replace ('1+' as her2_ihc_score) "
                f"from {S}pathology where accession_no = 's2'",
            )
        ),
    ],
    "PTH-015 staging.stg_common__pathology": [
        (f"update {S}pathology set collected_date = {LAST_DAY}", "pass"),
    ],
    "PTH-016 staging.stg_common__pathology": [
        (f"update {S}pathology set her2_ihc_score = '1+' where her2_ihc_score = '2+'", "fail"),
        (
            f"update {S}pathology set accession_no = 's2'; "
            f"update {S}pathology set her2_ihc_score = '0' where her2_ihc_score = '2+'",
            "not_applicable",
        ),
    ],
    "MOL-003 staging.stg_common__molecular_tests": [
        (
            f"update {S}molecular_tests set variant = '{variant}', gene = 'BRAF' "
            "where variant is not null",
            expected,
        )
        for variant, expected in (("p.G600E", "fail"), ("p.D12N", "pass"))
    ],
    "MOL-005 staging.stg_common__molecular_tests": [
        (
            f"update {S}molecular_tests set result = 'mutated' where gene = 'KRAS'; "
            f"insert into {S}molecular_tests by name select * replace ('exon 11' as region, "
            f"'mutated' as result) from {S}molecular_tests where gene = 'BRAF'",
            "pass",
        ),
        (f"delete from {S}molecular_tests where gene = 'BRAF'", "not_applicable"),
        (f"update {S}molecular_tests set accession_no = null", "not_applicable"),
    ],
    "MOL-007 staging.stg_common__molecular_tests": [
        (f"update {S}molecular_tests set accession_no = null", "not_applicable"),
    ],
    "MOL-008 staging.stg_common__molecular_tests": [
        (f"update {S}molecular_tests set collected_date = {LAST_DAY}", "pass"),
        (f"update {S}molecular_tests set collected_date = {BIRTH} - 1", "fail"),
    ],
    "MOL-010 staging.stg_common__molecular_tests": [
        (
            PREPARATIONS["MOL-010 staging.stg_common__molecular_tests"].partition(" where ")[0]
            + " where number % 20 < [15, 14, 16, 13, 8][1 + number // 20]",
            "fail",
        ),
    ],
    "DRG-002 staging.stg_common__drug_administrations": [
        (f"update {S}drug_administrations set start_date = {LAST_DAY}", "pass"),
    ],
    "DRG-003 intermediate.int_drug_exposures": [
        (
            "update intermediate.int_drug_exposures set start_date = date '2019-03-01' - 30",
            "pass",
        ),
        (
            f"update intermediate.int_drug_exposures set start_date = {BIRTH} - 1; "
            f"update {S}diagnoses set diagnosis_date_earliest = null",
            "fail",
        ),
    ],
    "DRG-004 staging.stg_common__drug_administrations": [
        (
            f"update {S}drug_administrations set record_type = 'administration', "
            "route = 'intravenous', end_date = start_date + 31",
            "pass",
        ),
    ],
    "DRG-005 treatment.exposure_assignments": [
        (f"delete from {S}drug_administrations", "fail"),
        ("update treatment.exposure_assignments set line_number = null", "not_applicable"),
    ],
    "DRG-006 staging.stg_common__drug_administrations": [
        (
            f"insert into {S}drug_administrations by name select * replace (dose + 1 as dose) "
            f"from {S}drug_administrations",
            "pass",
        ),
        (
            VIOLATIONS["DRG-006 staging.stg_common__drug_administrations"]
            + f"; update {S}drug_administrations set record_status = 'planned'",
            "not_applicable",
        ),
    ],
    "DRG-007 staging.stg_common__drug_administrations": [
        (f"update {S}drug_administrations set dose = 0", "fail"),
        (
            f"update {S}drug_administrations set dose = 0, record_type = 'order'",
            "not_applicable",
        ),
    ],
    "DRG-010 intermediate.int_drug_exposures": [
        (f"update {S}pathology set her2_ihc_score = '2+', her2_ish_ratio = null", "pass"),
        (f"update {S}pathology set her2_ihc_score = '1+', her2_ish_ratio = 2", "pass"),
        (
            f"update {S}pathology set her2_ihc_score = '1+', her2_ish_ratio = null, "
            "reported_date = date '2019-04-02'",
            "not_applicable",
        ),
    ],
    # Either antibody, either gene, and a report of the day of the drug.
    "DRG-011 intermediate.int_drug_exposures": [
        (
            "update intermediate.int_drug_exposures set ingredient = 'panitumumab'; "
            f"update {S}molecular_tests set gene = 'NRAS', result = 'mutated', variant = null, "
            "reported_date = date '2019-04-01'",
            "fail",
        ),
    ],
    "DRG-013 staging.stg_common__drug_administrations": [
        (
            PREPARATIONS["DRG-013 staging.stg_common__drug_administrations"]
            + f"; insert into {S}drug_administrations (src_rid, start_date) "
            f"values (-1, date '{day}')",
            "pass",
        )
        for day in ("2017-06-01", "2021-06-01")
    ],
    "PRC-001 staging.stg_common__procedures": [
        (f"update {S}procedures set procedure_date = {day}", expected)
        for day, expected in (
            (BIRTH, "pass"),
            (f"{BIRTH} - 1", "fail"),
            (LAST_DAY, "pass"),
            (f"{LAST_DAY} + 1", "fail"),
        )
    ],
    "PRC-002 staging.stg_common__procedures": [
        (
            f"update {S}lesion_measurements set organ = 'colorectum', {but}",
            "pass",
        )
        for but in (
            f"measured_date = (select min(procedure_date) from {S}procedures)",
            "lesion_role = 'non_target'",
            "lesion_status = 'present'",
        )
    ],
    "PRC-004 staging.stg_common__procedures": [
        (
            f"update {S}procedures set procedure_type = 'metastasectomy', "
            f"procedure_date = (select min(collected_date) {sign} 7 from {S}pathology)",
            "pass",
        )
        for sign in "+-"
    ]
    + [(f"update {S}procedures set procedure_type = 'ablation'", "fail")],
    "TUM-002 staging.stg_common__tumour_assessments": [
        (
            f"update {S}tumour_assessments set overall_response = 'NE' "
            "where timepoint = 'baseline'",
            "pass",
        ),
    ],
    "TUM-004 survival.survival_intervals": [
        (
            f"update {S}tumour_assessments set assessment_date = assessment_date - 1",
            "fail",
        ),
    ],
    "TUM-006 survival.recist_assessments": [
        *(
            (
                VIOLATIONS["TUM-006 survival.recist_assessments"].replace("'SD'", f"'{response}'"),
                "fail",
            )
            for response in ("CR", "PR")
        ),
        (
            "update survival.recist_assessments set assessment_date = date '2019-06-01' "
            "where not is_baseline",
            "pass",
        ),
        (
            VIOLATIONS["TUM-006 survival.recist_assessments"]
            + f"; update {S}tumour_assessments set criteria = 'iRECIST'",
            "not_applicable",
        ),
    ],
    "TUM-007 staging.stg_common__tumour_assessments": [
        (
            f"update {S}tumour_assessments set target_response = null, overall_response = 'SD'; "
            f"update {S}tumour_assessments set {component} = 'PD'",
            "fail",
        )
        for component in ("target_response", "non_target_response")
    ],
    "TUM-008 staging.stg_common__tumour_assessments": [
        (f"update {S}tumour_assessments set assessment_date = {LAST_DAY}", "pass"),
    ],
    "TUM-010 survival.recist_assessments": [
        (
            VIOLATIONS["TUM-010 survival.recist_assessments"].replace("2019-12-01", "2019-11-30"),
            "pass",
        ),
        # What lies before and after the interval is no gap of it.
        (
            "update survival.recist_assessments set assessment_date = date '2019-12-01' "
            "where recorded_response = 'PD'",
            "not_applicable",
        ),
        (
            "update survival.recist_assessments set assessment_date = date '2018-01-01' "
            "where is_baseline",
            "pass",
        ),
        (
            VIOLATIONS["TUM-010 survival.recist_assessments"]
            + "; update cohort.cohort set included = false",
            "not_applicable",
        ),
    ],
    "TUM-011 survival.recist_assessments": [
        (
            f"{PREPARATIONS['TUM-011 survival.recist_assessments']}; "
            + VIOLATIONS["TUM-011 survival.recist_assessments"].replace("+ 60", f"+ {days}")
            + but,
            expected,
        )
        for days, but, expected in (
            (30, "", "pass"),
            (36, "", "fail"),
            (60, "; update cohort.cohort set included = false", "not_applicable"),
            (
                60,
                "; delete from cohort.patient_variables where level = '1' "
                "and patient_key not in ('g1', 'g3')",
                "not_applicable",
            ),
            # A second record of a day is no gap.
            (
                0,
                "; insert into survival.recist_assessments from survival.recist_assessments "
                "where regexp_matches(patient_key, 'g.*[13579]$')",
                "pass",
            ),
        )
    ],
    "LES-001 staging.stg_common__lesion_measurements": [
        (f"update {S}lesion_measurements set longest_diameter_mm = 1", "pass"),
    ],
    "LES-002 staging.stg_common__lesion_measurements": [
        (
            f"update {S}lesion_measurements set longest_diameter_mm = 2 "
            "where measurement_id = 'l1'",
            "fail",
        ),
    ],
    "LES-003 intermediate.int_lesions": [
        (
            "update intermediate.int_lesions set is_measurable = false, lesion_role = 'non_target'",
            "not_applicable",
        ),
        (
            "update intermediate.int_lesions set is_measurable = false; "
            f"update {S}tumour_assessments set timepoint = 'follow_up'",
            "not_applicable",
        ),
    ],
    "LES-004 staging.stg_common__lesion_measurements": [
        (
            f"insert into {S}lesion_measurements by name select lesions.* replace "
            "('x' || number as lesion_id, 'organ ' || number as organ) "
            f"from {S}lesion_measurements as lesions "
            f"cross join range({others}) as numbers (number) where measurement_id = 'l1'",
            expected,
        )
        for others, expected in ((4, "pass"), (5, "fail"))
    ],
    "LES-005 survival.recist_assessments": [
        ("update survival.recist_assessments set target_response = null", "not_applicable"),
        ("update survival.recist_assessments set target_response = 'NE'", "not_applicable"),
    ],
    "AE-003 staging.stg_common__adverse_events": [(f"delete from {S}vital_status", "fail")],
    "AE-004 staging.stg_common__adverse_events": [
        (f"update {S}adverse_events set onset_date = {BIRTH} - 1", "fail"),
        (f"update {S}adverse_events set onset_date = {LAST_DAY}, end_date = {LAST_DAY}", "pass"),
    ],
    "AE-005 safety.adverse_events": [
        ("update safety.adverse_events set days_from_line_start = null", "fail"),
    ],
    "MRT-002 treatment.lines_of_therapy": [
        (
            "insert into treatment.exposure_assignments by name select * replace "
            f"(date '2019-04-14' + {days} as start_date) from treatment.exposure_assignments "
            "where line_number = 1",
            expected,
        )
        for days, expected in ((0, "pass"), (1, "fail"))
    ],
    "MRT-003 survival.survival_intervals": [
        (f"update survival.survival_intervals set {column} = null", "fail")
        for column in ("time_days", "event")
    ],
    "MRT-007 cohort.cohort": [
        ("update cohort.cohort set src_rids = [1::bigint << 32]", "fail"),
    ],
}


def status(warehouse: Path, check: Check) -> str:
    (result,) = run(warehouse, checks=[check])
    return result.status


def test_every_check_has_its_violation() -> None:
    assert set(VIOLATIONS) == set(CHECKS)


def test_the_clean_case_passes_every_check(clean_warehouse: Path) -> None:
    results = run(clean_warehouse, checks=CHECKS.values())
    for name, result in zip(CHECKS, results, strict=True):
        expected = "not_applicable" if name in PREPARATIONS else "pass"
        assert (name, result.status) == (name, expected), result.detail
        assert result.n_violating == 0


@pytest.mark.parametrize("name", PREPARATIONS)
def test_the_prepared_case_passes_the_check(spoil: Spoil, name: str) -> None:
    assert status(spoil(PREPARATIONS[name]), CHECKS[name]) == "pass"


def test_a_gap_of_several_months_is_found_as_one_of_one_month(spoil: Spoil) -> None:
    name = "DRG-013 staging.stg_common__drug_administrations"
    gap = VIOLATIONS[name].replace("= 5", "in (5, 6, 7)")
    (result,) = run(spoil(PREPARATIONS[name], gap), checks=[CHECKS[name]])
    assert (result.status, result.n_violating) == ("fail", 3)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_violation_trips_the_check(spoil: Spoil, name: str) -> None:
    warehouse = spoil(PREPARATIONS.get(name, "select 1"), VIOLATIONS[name])
    (result,) = run(warehouse, checks=[CHECKS[name]])
    assert result.status == "fail", result.detail
    assert result.n_violating
    assert result.blocks == (result.severity == "blocking" or result.block_above is not None)


@pytest.mark.parametrize(
    ("name", "statement", "expected"),
    [
        # A death known to the month leaves its every day open.
        (
            "VIT-004 staging.stg_common__vital_status",
            "update staging.stg_common__vital_status set death_date_latest = date '2020-06-30', "
            "death_date_precision = 'month' where status = 'dead'; "
            "update staging.stg_common__encounters set start_date = date '2020-06-20'",
            "pass",
        ),
        # A call after death is one with the family.
        (
            "VIT-004 staging.stg_common__vital_status",
            f"update staging.stg_common__encounters set start_date = {AFTER_DEATH}, "
            "encounter_type = 'telephone'",
            "pass",
        ),
        # An alive patient with a date of death is as wrong as a dead one without.
        (
            "VIT-001 staging.stg_common__vital_status",
            "update staging.stg_common__vital_status set status = 'alive'",
            "fail",
        ),
        # An unknown sex and a year of birth contradict nothing.
        (
            "PAT-003 staging.stg_common__patients",
            "insert into staging.stg_common__patients by name select * replace ('unknown' as sex, "
            "date_trunc('year', birth_date_earliest) as birth_date_earliest) "
            "from staging.stg_common__patients",
            "pass",
        ),
        # Whoever is in any file of events has one.
        (
            "PAT-008 staging.stg_common__patients",
            "; ".join(
                f"insert into staging.stg_common__patients (patient_key) values ('{table}'); "
                f"insert into staging.stg_common__{table} (patient_key) values ('{table}')"
                for table in EVENTS
            ),
            "pass",
        ),
        # Of two decisions of one day the one against counts, in whatever order they come.
        *(
            (
                "PAT-010 cohort.cohort",
                "insert into staging.stg_common__consent (src_rid, patient_key, purpose, decision, "
                f"consent_date) values (8, 'p2', 'research', '{one}', date '2019-05-01'), "
                f"(9, 'p2', 'research', '{other}', date '2019-05-01'); "
                "insert into cohort.cohort (patient_key, included) values ('p2', true)",
                "fail",
            )
            for one, other in (("withdrawn", "given"), ("given", "withdrawn"))
        ),
        # A code is read in small letters and without its dot; ICD-O-3 ends with C80.9.
        *(
            (
                "DX-001 staging.stg_common__diagnoses",
                f"update staging.stg_common__diagnoses set icdo3_topography = '{code}'",
                expected,
            )
            for code, expected in (("c187", "pass"), ("C80.9", "pass"), ("C90.0", "fail"))
        ),
        *(
            (
                "DX-001 staging.stg_common__comorbidities",
                f"update staging.stg_common__comorbidities set icd10 = '{code}'",
                "pass",
            )
            for code in ("i251", "I10.x00x002", "E14.3+")
        ),
        # Nobody is lost on the way from the diagnosis to the characteristics.
        *(
            ("DX-009 cohort.cohort", statement, expected)
            for statement, expected in (
                ("delete from cohort.cohort", "fail"),
                ("delete from cohort.patient_characteristics", "fail"),
                (
                    "insert into cohort.patient_characteristics "
                    "from cohort.patient_characteristics",
                    "fail",
                ),
                (
                    "update cohort.cohort set index_date = null; "
                    "delete from cohort.patient_characteristics",
                    "pass",
                ),
            )
        ),
        # A diagnosis of another organ in between does not part two of one.
        (
            "DX-007 staging.stg_common__diagnoses",
            "insert into staging.stg_common__diagnoses by name select diagnoses.* replace (code as "
            "icdo3_topography, diagnosis_date_earliest + days as diagnosis_date_earliest) "
            "from staging.stg_common__diagnoses as diagnoses "
            "cross join (values ('C61.9', 1), ('C18.9', 2)) as others (code, days)",
            "fail",
        ),
        # Reports without a day of release are of the days of their specimens.
        (
            "PTH-001 staging.stg_common__pathology",
            "insert into staging.stg_common__pathology by name select * replace ('1+' as "
            "her2_ihc_score, collected_date - 1 as collected_date) from "
            "staging.stg_common__pathology where accession_no = 's2'; "
            "update staging.stg_common__pathology set reported_date = null",
            "pass",
        ),
        # Of a resection 10 percent make a 3+.
        (
            "PTH-006 staging.stg_common__pathology",
            "update staging.stg_common__pathology set her2_ihc_pct = 10",
            "pass",
        ),
        # Codes of the Chinese clinical edition extend those of ICD-9-CM-3.
        (
            "PRC-001 staging.stg_common__procedures",
            "update staging.stg_common__procedures set procedure_code = '45.7300x005'",
            "pass",
        ),
        # What is no organ of the list, or has none, may be of several.
        *(
            (
                "LES-004 staging.stg_common__lesion_measurements",
                f"update staging.stg_common__lesion_measurements set organ = {organ}; "
                "insert into staging.stg_common__lesion_measurements by name select lesions.* "
                "replace ('x' || number as lesion_id) from "
                "staging.stg_common__lesion_measurements as lesions "
                "cross join range(2) as numbers (number)",
                "pass",
            )
            for organ in ("'other'", "null")
        ),
        # A planned dose is not a dose.
        (
            "DRG-002 staging.stg_common__drug_administrations",
            f"update staging.stg_common__drug_administrations set start_date = {AFTER_DEATH}, "
            "record_status = 'planned'",
            "not_applicable",
        ),
        # A result that came later was not known.
        (
            "DRG-011 intermediate.int_drug_exposures",
            "update staging.stg_common__molecular_tests set result = 'mutated', "
            "reported_date = date '2019-04-02'",
            "not_applicable",
        ),
        # Of what was not delivered nothing is known: neither a pass nor a fail.
        *(
            (name, f"delete from staging.stg_common__{table}", "not_applicable")
            for name, table in (
                ("DX-008 staging.stg_common__diagnoses", "pathology"),
                ("PRC-004 staging.stg_common__procedures", "procedures"),
                ("DRG-011 intermediate.int_drug_exposures", "molecular_tests"),
            )
        ),
        (
            "MOL-010 staging.stg_common__molecular_tests",
            "insert into staging.stg_common__metastases (patient_key, metastasis_date) select "
            "'m' || number, date '2019-03-01' from range(20) as numbers (number); "
            "delete from staging.stg_common__molecular_tests",
            "not_applicable",
        ),
        # With its inhibitor the antibody is given to KRAS G12C; without, and to NRAS, it is not.
        *(
            (
                "DRG-011 intermediate.int_drug_exposures",
                "update staging.stg_common__molecular_tests set result = 'mutated', "
                f"variant = '{variant}', gene = '{gene}'; "
                f"update intermediate.int_drug_exposures set patient_key = '{patient}' "
                "where ingredient = 'sotorasib'",
                expected,
            )
            for gene, variant, patient, expected in (
                ("KRAS", "p.G12C", "p1", "pass"),
                ("KRAS", "p.Gly12Cys", "p1", "pass"),
                ("KRAS", "p.G12C", "p2", "fail"),
                ("NRAS", "p.G12C", "p1", "fail"),
            )
        ),
        # Lost is who was last seen earlier than the study's 90 days before its cut-off.
        *(
            (
                "VIT-006 cohort.cohort",
                "update intermediate.int_vital_status set status = 'alive', "
                f"last_contact_date = date '2021-02-19' - {days}",
                expected,
            )
            for days, expected in ((90, "pass"), (91, "fail"))
        ),
        # A score of fewer cells than the definition asks for is not positive.
        *(
            (
                "PTH-013 cohort.biomarkers",
                f"update staging.stg_common__pathology set her2_ihc_pct = {share}, "
                f"reported_date = date '{day}'",
                expected,
            )
            for share, day, expected in (
                (50, "2021-02-19", "pass"),
                (49, "2021-02-19", "fail"),
                # What was reported after the cut-off is not known to the study.
                (50, "2021-02-20", "fail"),
            )
        ),
        ("PTH-013 cohort.biomarkers", "delete from staging.stg_common__pathology", "fail"),
        # A region that was ever mutated is not wild type; a result after the cut-off says nothing.
        *(
            (
                "MOL-004 cohort.biomarkers",
                "insert into staging.stg_common__molecular_tests by name select * replace "
                f"('mutated' as result, date '{day}' as reported_date) "
                "from staging.stg_common__molecular_tests where gene = 'BRAF'",
                expected,
            )
            for day, expected in (("2021-02-19", "fail"), ("2021-02-20", "pass"))
        ),
        (
            "MOL-004 cohort.biomarkers",
            "update staging.stg_common__molecular_tests set reported_date = date '2021-02-20'",
            "fail",
        ),
        # Entry is the day itself, or the start; later would take days at risk away.
        *(
            ("MOL-009 survival.survival_intervals", statement, expected)
            for statement, expected in (
                ("update survival.survival_intervals set entry_days = 31", "fail"),
                ("update cohort.cohort set eligibility_known_date = null", "fail"),
                ("update cohort.cohort set included = false", "fail"),
                ("update cohort.cohort set eligibility_known_date = date '2019-03-31'", "fail"),
                (
                    "update cohort.cohort set eligibility_known_date = date '2019-03-31'; "
                    "update survival.survival_intervals set entry_days = 0",
                    "pass",
                ),
                (
                    "update cohort.cohort set included = false; "
                    "update survival.survival_intervals set entry_days = null",
                    "pass",
                ),
            )
        ),
        # A scan of the last 60 days serves, though the mart takes a baseline of four weeks only; a
        # finding without a scan does not.
        *(
            (
                "TUM-003 survival.recist_assessments",
                "delete from survival.recist_assessments where is_baseline; "
                "update staging.stg_common__tumour_assessments set "
                f"assessment_date = date '2019-04-01' - {days}, modality = '{modality}' "
                "where timepoint = 'baseline'",
                expected,
            )
            for days, modality, expected in (
                (60, "CT", "pass"),
                (61, "CT", "fail"),
                (60, "clinical", "fail"),
                (-1, "CT", "fail"),
            )
        ),
        # A progression lost to a censoring of its day or to a later death.
        *(
            (
                "TUM-005 survival.survival_intervals",
                f"update survival.survival_intervals set source = '{source}', event = {event}, "
                f"end_date = date '{end_date}' where endpoint = 'PFS'",
                expected,
            )
            for source, event, end_date, expected in (
                ("last_tumour_assessment", "false", "2019-08-01", "fail"),
                ("last_tumour_assessment", "false", "2019-07-31", "pass"),
                ("death", "true", "2019-08-02", "fail"),
                ("death", "true", "2019-08-01", "pass"),
            )
        ),
        # Where only scans count, a clinical progression ends nothing.
        (
            "TUM-005 survival.survival_intervals",
            "update reference.studies set endpoint_rule_set_id = 'fda'; "
            "update survival.survival_intervals set endpoint_rule_set_id = 'fda', event = false, "
            "source = 'last_radiographic_assessment'",
            "not_applicable",
        ),
        # Without target lesions stable disease is called otherwise.
        (
            "TUM-006 survival.recist_assessments",
            "update survival.recist_assessments set recorded_response = case assessment_date "
            "when date '2019-06-01' then 'PD' else 'NON-CR/NON-PD' end",
            "fail",
        ),
        # Progression is seen without every lesion; no response is.
        *(
            (
                "LES-006 survival.recist_assessments",
                "update survival.recist_assessments set n_target_lesions_measured = 0, "
                f"recorded_target_response = {response}",
                expected,
            )
            for response, expected in (
                ("'PD'", "pass"),
                ("'NE'", "pass"),
                ("'SD'", "fail"),
                ("null", "fail"),
            )
        ),
        # An event of the day of the start is under the line, one of the day of the next is not.
        *(
            (
                "AE-005 safety.adverse_events",
                f"update safety.adverse_events set onset_date = date '2019-04-01' + {days}, "
                f"days_from_line_start = {days}; "
                "update treatment.lines_of_therapy set next_line_start_date = date '2019-09-01' "
                "where line_number = 1",
                expected,
            )
            for days, expected in ((0, "pass"), (152, "pass"), (-1, "fail"), (153, "fail"))
        ),
        # A line that is not there.
        (
            "AE-005 safety.adverse_events",
            "update safety.adverse_events set line_number = 3",
            "fail",
        ),
        # A long infusion is a wrong date; a long course of tablets is not.
        (
            "DRG-004 staging.stg_common__drug_administrations",
            "update staging.stg_common__drug_administrations set record_type = 'administration', "
            "route = 'intravenous', end_date = start_date + 32",
            "fail",
        ),
        (
            "DRG-004 staging.stg_common__drug_administrations",
            "update staging.stg_common__drug_administrations set record_type = 'dispensing', "
            "route = 'oral', end_date = start_date + 32",
            "pass",
        ),
        # CTCAE 3 had other grades.
        (
            "AE-002 staging.stg_common__adverse_events",
            "update staging.stg_common__adverse_events set grade = '4', ctcae_version = '3.0'",
            "not_applicable",
        ),
        (
            "AE-004 staging.stg_common__adverse_events",
            f"update staging.stg_common__adverse_events set onset_date = {AFTER_DEATH}, "
            "end_date = null",
            "fail",
        ),
        (
            "LES-001 staging.stg_common__lesion_measurements",
            "update staging.stg_common__lesion_measurements set longest_diameter_mm = 0, "
            "lesion_status = 'disappeared'",
            "pass",
        ),
        (
            "MRT-001 treatment.lines_of_therapy",
            "update treatment.lines_of_therapy set start_date = date '2019-04-01'",
            "fail",
        ),
        *(
            (
                "MRT-001 treatment.lines_of_therapy",
                f"update treatment.lines_of_therapy set {column} = null where line_number = 2",
                "fail",
            )
            for column in ("line_number", "start_date")
        ),
        # An exposure of a line that is not there, and one of the day of the next line.
        (
            "MRT-002 treatment.lines_of_therapy",
            "delete from treatment.lines_of_therapy where line_number = 2",
            "fail",
        ),
        (
            "MRT-002 treatment.lines_of_therapy",
            "update treatment.lines_of_therapy set coverage_end_date = date '2019-09-14', "
            "next_line_start_date = date '2019-09-01' where line_number = 1; "
            "insert into treatment.exposure_assignments by name select * replace "
            "(date '2019-09-01' as start_date) from treatment.exposure_assignments "
            "where line_number = 1",
            "fail",
        ),
        (
            "MRT-003 survival.survival_intervals",
            "update survival.survival_intervals set censor_reason = null",
            "fail",
        ),
        # Time in days and months is that between the dates.
        *(
            (
                "MRT-003 survival.survival_intervals",
                f"update survival.survival_intervals set {change} where endpoint = 'OS'",
                "fail",
            )
            for change in (
                "end_date = end_date + 1",
                "time_days = time_days + 1, time_months = (time_days + 1) / 30.4375",
                "time_months = time_days / 30.44",
                "time_months = null",
                # Nor does a source that only censors make an event.
                "source = 'last_contact'",
                "source = null",
            )
        ),
        # A result of last contact and of death on the same day is no resurrection.
        (
            "VIT-008 staging.stg_common__vital_status",
            "update staging.stg_common__vital_status set last_contact_date = date '2020-06-02' "
            "where status = 'alive'",
            "pass",
        ),
        # Of a lesion without a size nobody knows.
        (
            "LES-003 intermediate.int_lesions",
            "update intermediate.int_lesions set is_measurable = null",
            "not_applicable",
        ),
        # A line that its baseline alone stands for was not assessed.
        (
            "TUM-003 survival.recist_assessments",
            "delete from survival.recist_assessments where not is_baseline",
            "not_applicable",
        ),
        # A drug of no name is an anticancer drug, too; one that is unknown may be none.
        *(
            (
                "DRG-003 intermediate.int_drug_exposures",
                "update intermediate.int_drug_exposures set start_date = date '2019-01-01', "
                f"is_anticancer = {is_anticancer}",
                "not_applicable",
            )
            for is_anticancer in ("false", "null")
        ),
        # Each drug has its own year (trifluridine and tipiracil: 2014).
        (
            "DRG-012 intermediate.int_drug_exposures",
            "update intermediate.int_drug_exposures set start_date = date '2008-12-31', "
            "ingredient = 'tas102'",
            "fail",
        ),
        # Five years of trials may precede approval.
        (
            "DRG-012 intermediate.int_drug_exposures",
            "update intermediate.int_drug_exposures set start_date = date '1998-01-01' "
            "where ingredient = 'cetuximab'",
            "pass",
        ),
        # Trastuzumab deruxtecan is given to tumours with low expression.
        (
            "DRG-010 intermediate.int_drug_exposures",
            "update intermediate.int_drug_exposures set ingredient = 'trastuzumab_deruxtecan'",
            "not_applicable",
        ),
        (
            "MOL-003 staging.stg_common__molecular_tests",
            "update staging.stg_common__molecular_tests set variant = 'p.Gly12Cys' "
            "where variant is not null",
            "pass",
        ),
        (
            "MOL-003 staging.stg_common__molecular_tests",
            "update staging.stg_common__molecular_tests set variant = 'G12C' "
            "where variant is not null",
            "fail",
        ),
        # Each step starts with what the one before left, and the last leaves the cohort.
        (
            "MRT-006 cohort.cohort_attrition",
            "update cohort.cohort_attrition set n_in = 2, n_unknown = 1 where step = 2",
            "fail",
        ),
        ("MRT-006 cohort.cohort_attrition", "update cohort.cohort set included = false", "fail"),
        # The first step starts with every patient; a step without a number adds up to nothing.
        (
            "MRT-006 cohort.cohort_attrition",
            "update cohort.cohort_attrition set n_in = 2, n_not_met = 1 where step = 1",
            "fail",
        ),
        (
            "MRT-006 cohort.cohort_attrition",
            "update cohort.cohort_attrition set n_unknown = null where step = 1",
            "fail",
        ),
        # An earlier metastasis of the same primary, or of the same patient if none is named; one of
        # another primary may be another cancer's. Two on one day are one.
        *(
            (
                "MRT-015 cohort.cohort",
                "insert into staging.stg_common__metastases (patient_key, diagnosis_id, "
                f"metastasis_date) select patient_key, {diagnosis}, metastasis_date - {earlier} "
                "from staging.stg_common__metastases",
                expected,
            )
            for diagnosis, earlier, expected in (
                ("diagnosis_id", 1, "fail"),
                ("'another'", 1, "pass"),
                ("'another'", 0, "pass"),
            )
        ),
        (
            "MRT-015 cohort.cohort",
            "update staging.stg_common__metastases set diagnosis_id = null",
            "pass",
        ),
        ("MRT-015 cohort.cohort", "delete from staging.stg_common__metastases", "fail"),
        # Raw rows that were never delivered: of an unknown file, and beyond the end of a known one.
        (
            "MRT-007 cohort.cohort",
            "update cohort.cohort set src_rids = [99::bigint << 32 | 1]",
            "fail",
        ),
        (
            "MRT-007 cohort.cohort",
            "update cohort.cohort set src_rids = [1::bigint << 32 | 9]",
            "fail",
        ),
        ("MRT-007 cohort.cohort", "update cohort.cohort set src_rids = null", "fail"),
        (
            "MRT-007 cohort.cohort",
            "update cohort.cohort set src_rids = list_append(src_rids, null)",
            "fail",
        ),
        # Whoever is included by what was known after the cut-off.
        (
            "MRT-010 cohort.cohort",
            f"update cohort.cohort set eligibility_known_date = date '{LATE}'",
            "fail",
        ),
        # A death after the cut-off, or after what a rule set observes, is no event; nobody lives on
        # after one, or dies without one.
        *(
            ("MRT-014 survival.survival_intervals", statement, expected)
            for statement, expected in (
                (
                    "update survival.survival_intervals set event = false, end_date = date "
                    "'2021-02-19'; update staging.stg_common__vital_status set "
                    f"death_date_latest = date '{LATE}' where status = 'dead'",
                    "pass",
                ),
                (
                    "update survival.survival_intervals set event = false, "
                    "end_date = end_date - 1, observation_ended_by = 'maximum follow-up'",
                    "pass",
                ),
                ("update survival.survival_intervals set end_date = date '2020-06-02'", "pass"),
                ("update survival.survival_intervals set end_date = date '2020-06-03'", "fail"),
                ("delete from staging.stg_common__vital_status where status = 'dead'", "fail"),
            )
        ),
        # A line that was never assessed has no rows to name.
        (
            "MRT-007 survival.response_by_line",
            "update survival.response_by_line set src_rids = null, n_assessments = 0",
            "not_applicable",
        ),
        *((name, *edge) for name, edges in LIMITS.items() for edge in edges),
    ],
)
def test_the_edge_of_a_rule(spoil: Spoil, name: str, statement: str, expected: str) -> None:
    assert status(spoil(statement), CHECKS[name]) == expected
