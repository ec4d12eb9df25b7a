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

VIOLATIONS = {
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
            ("treatment.lines_of_therapy", "start_date"),
            ("survival.survival_intervals", "end_date"),
            ("survival.response_by_line", "response_date"),
            ("safety.adverse_events", "onset_date"),
        )
    },
}


def status(warehouse: Path, check: Check) -> str:
    (result,) = run(warehouse, checks=[check])
    return result.status


def test_every_check_has_its_violation() -> None:
    assert set(VIOLATIONS) == set(CHECKS)


def test_the_clean_case_passes_every_check(clean_warehouse: Path) -> None:
    results = run(clean_warehouse, checks=CHECKS.values())
    assert [r for r in results if r.status != "pass"] == []
    assert all(r.n_violating == 0 and r.n_checked for r in results)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_violation_trips_the_check(spoil: Spoil, name: str) -> None:
    (result,) = run(spoil(VIOLATIONS[name]), checks=[CHECKS[name]])
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
            "pass",
        ),
        # The KRAS G12C inhibitor is given with the antibody.
        (
            "DRG-011 intermediate.int_drug_exposures",
            "update staging.stg_common__molecular_tests set result = 'mutated', variant = 'p.G12C'",
            "pass",
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
        (
            "MRT-003 survival.survival_intervals",
            "update survival.survival_intervals set censor_reason = null",
            "fail",
        ),
        # Each step starts with what the one before left, and the last leaves the cohort.
        (
            "MRT-006 cohort.cohort_attrition",
            "update cohort.cohort_attrition set n_in = 3, n_unknown = 2 where step = 2",
            "fail",
        ),
        ("MRT-006 cohort.cohort_attrition", "update cohort.cohort set included = false", "fail"),
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
        # A line that was never assessed has no rows to name.
        (
            "MRT-007 survival.response_by_line",
            "update survival.response_by_line set src_rids = null, n_assessments = 0",
            "not_applicable",
        ),
    ],
)
def test_the_edge_of_a_rule(spoil: Spoil, name: str, statement: str, expected: str) -> None:
    assert status(spoil(statement), CHECKS[name]) == expected
