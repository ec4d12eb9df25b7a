"""The study's key variables, derived by SQL and once more in pandas."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from analysis.second_variables import variables
from analysis.study import load_study
from tests.conftest import Run

STUDY = "her2_mcrc"


@pytest.fixture
def copy(demo: Run, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    shutil.copy(demo.work / "warehouse.duckdb", tmp_path / "copy.duckdb")
    with duckdb.connect(str(tmp_path / "copy.duckdb")) as connection:
        yield connection


def differences(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    study = load_study(connection, STUDY)
    return {answers.what: answers.different() for answers in variables(connection, study)}


def test_both_agree_on_every_patient_with_metastasis(copy: duckdb.DuckDBPyConnection) -> None:
    # The 63 included patients have no unknown status; the others have.
    copy.execute("update cohort.cohort set included = index_date is not null")
    found = list(variables(copy, load_study(copy, STUDY)))
    assert len(found) == 11
    assert min(len(answers.mart) for answers in found) > 2000
    assert {answers.what: answers.different() for answers in found} == {
        answers.what: 0 for answers in found
    }
    statuses = {answers.what: set(answers.here) for answers in found}
    assert statuses["her2 status"] == {"positive", "negative", "unknown"}
    assert statuses["ras braf status"] == {"mutated", "wild_type", "unknown"}
    assert statuses["events of PFS"] == {True, False}


def test_what_was_reported_after_the_cutoff_changes_nothing(
    copy: duckdb.DuckDBPyConnection,
) -> None:
    copy.execute(
        "insert into staging.stg_common__pathology by name "
        "select pathology.* replace "
        "('0' as her2_ihc_score, cast(studies.data_cutoff + 1 as date) as reported_date) "
        "from staging.stg_common__pathology as pathology cross join reference.studies as studies"
    )
    assert set(differences(copy).values()) == {0}


def test_a_her2_definition_that_asks_for_no_share_needs_none(
    copy: duckdb.DuckDBPyConnection,
) -> None:
    copy.execute(
        "update staging.stg_common__pathology set her2_ihc_pct = null, her2_ish_pct = null"
    )
    assert differences(copy)["her2 status"] == 63
    copy.execute("update reference.her2_definitions set ihc_min_pct = null, ish_min_pct = null")
    assert differences(copy)["her2 status"] == 0


FIRST = "where patient_key = (select min(patient_key) from cohort.cohort where included)"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            "insert into staging.stg_common__pathology by name "
            "select * replace ('0' as her2_ihc_score, report_id || '-2' as report_id) "
            f"from staging.stg_common__pathology {FIRST} and her2_ihc_score is not null; "
            f"update cohort.patient_characteristics set her2_status = 'unknown' {FIRST}",
            id="two reports of a day contradict each other",
        ),
        pytest.param(
            "update staging.stg_common__patients set birth_date_earliest = '1960-02-29', "
            f"birth_date_latest = '1960-02-29' {FIRST}; "
            f"update cohort.cohort set index_date = '2014-02-28' {FIRST}; "
            f"update cohort.patient_characteristics set age_at_index = 54, "
            f"metastatic_organs = null {FIRST}; "
            f"delete from staging.stg_common__metastases {FIRST}",
            id="born on 29 February",
        ),
        pytest.param(
            "delete from staging.stg_common__procedures; "
            "update quality.source_files set file_name = null, n_records = 0 "
            "where table_name = 'procedures'; "
            "update cohort.patient_characteristics "
            "set primary_resection = null, metastasectomy = null",
            id="procedures were not delivered",
        ),
    ],
)
def test_both_read_the_record_alike(copy: duckdb.DuckDBPyConnection, change: str) -> None:
    copy.execute(change)
    found = differences(copy)
    for endpoint in ("OS", "PFS"):  # the last day of contact may have been a row that went
        found.pop(f"days of {endpoint}")
    assert {what: n for what, n in found.items() if n} == {}


@pytest.mark.parametrize(
    ("what", "change"),
    [
        (
            "metastasectomy",
            "update cohort.patient_characteristics set metastasectomy = null "
            "where patient_key = (select min(patient_key) from cohort.cohort where included)",
        ),
        (
            "days of PFS",
            "update survival.survival_intervals set time_days = time_days + 1 "
            "where patient_key = (select min(patient_key) from cohort.cohort where included) "
            "and endpoint = 'PFS'",
        ),
        (
            "metastatic organs",  # with a second cancer nobody knows whose they are
            "insert into staging.stg_common__diagnoses by name "
            "select * replace ('second' as diagnosis_id, 'C61.9' as icdo3_topography) "
            "from staging.stg_common__diagnoses "
            "where patient_key = (select min(patient_key) from cohort.cohort where included); "
            "update staging.stg_common__metastases set diagnosis_id = null",
        ),
        (
            "her2 status",
            "update staging.stg_common__pathology set her2_ihc_pct = 10, her2_ish_pct = 10 "
            "where patient_key = (select min(patient_key) from cohort.cohort where included)",
        ),
    ],
)
def test_one_patient_with_another_answer_is_noticed(
    copy: duckdb.DuckDBPyConnection, what: str, change: str
) -> None:
    copy.execute(change)
    assert {name: n for name, n in differences(copy).items() if n} == {what: 1}
