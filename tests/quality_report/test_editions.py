"""Two editions of one page: the one to share names nobody, the auditor's names where and who."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from quality_page import RUN, section, tables

from expectations import history, report
from expectations import run as checks
from expectations.checks import CheckResult, Condition
from pipeline.audit import Event
from pipeline.diff import Change, Difference, Moved, RowChanges
from pipeline.signing import Judged, Signature

PATIENT = "canarypatientkey"
NAME = "Ada <Example>"


@pytest.fixture
def record() -> report.RunRecord:
    """A run of real patients that follows a signed one."""
    since = Difference(
        before="run-a",
        after="run-b",
        data=[Change("patients", 300, 302)],
        code=[Change("tree_sha256", "a" * 64, "b" * 64)],
        configuration=[],
        environment=[],
        relations=[],
        checks=[Change("fail", 1, 2)],
        numbers=[Change("her2_mcrc.fig1.all.os.first-line.median_months", "12.3", "45.6")],
        moved=[Moved("her2_mcrc", PATIENT, "OS", "310 days", "330 days")],
        rows=[RowChanges("patients", [1, 2], [], [(3, 4)])],
    )
    signature = Signature("run-a", "c" * 64, NAME, "statistician", "reviewed", "2026-01-01")
    return report.RunRecord(
        manifest={
            "code": {"git_commit": None, "tree_sha256": "b" * 64},
            "previous": {"run_id": "run-a", "manifest_sha256": "d" * 64},
            "audit": {"seq": 1, "hash": "e" * 64},
            "relations": [{"name": "cohort.cohort", "rows": 3, "logical_sha256": "f" * 64}],
            "anonymity": [
                {"study_id": "s", "n_patients": 63, "k": 1, "n_below": 61, "wanted": 5},
                {"study_id": "t", "n_patients": 90, "k": 1, "n_below": 30, "wanted": 5},
            ],
        },
        since=since,
        since_is_signed=True,
        signatures=[Judged(signature, ("quality.html was changed after it",))],
        events=[Event(1, "2026-01-01", "run signed", "ada", '{"name": "Ada"}', "0", "1")],
    )


def rendered(
    warehouse: Path,
    results: list[CheckResult],
    record: report.RunRecord | None,
    *,
    private: bool,
    synthetic: str = "no",
) -> str:
    with duckdb.connect(str(warehouse)) as connection:
        history.write(connection, results, RUN["run_id"])
        connection.execute(f"update staging.stg_common__delivery set synthetic = '{synthetic}'")
        return report.page(connection, run=RUN, record=record, private=private)


def test_the_shareable_edition_counts_what_changed_and_names_nobody(
    warehouse: Path, results: list[CheckResult], record: report.RunRecord
) -> None:
    text = rendered(warehouse, results, record, private=False)
    changes = section(text, "changes")
    assert "Since run run-a, the last that was signed" in changes
    assert "no longer valid: quality.html was changed after it" in changes
    assert "Ada &lt;Example&gt;" in changes
    assert "OS [c]" in changes
    assert tables(text)["Raw rows that changed"][1:] == [["patients", "[c]", "[c]", "0"]]
    assert PATIENT not in text
    assert "PRIVATE" not in text
    assert "45.6" not in text
    assert "run signed" in section(text, "trail")
    assert "{&#34;name&#34;" not in text


def test_how_many_stand_alone_is_a_small_count_too(
    warehouse: Path, results: list[CheckResult], record: report.RunRecord
) -> None:
    """Two are left over of one study, and many of the other."""
    shared = section(rendered(warehouse, results, record, private=False), "scope")
    assert "of 63 patients, [c] share" in shared
    assert "of 90 patients, 30 share" in shared
    private = section(rendered(warehouse, results, record, private=True), "scope")
    assert "of 63 patients, 61 share" in private


def test_no_hash_lets_a_guess_of_a_hidden_count_be_tried(
    warehouse: Path, results: list[CheckResult], record: report.RunRecord
) -> None:
    """Of the steps of the cohort flow everything is printed but a few small numbers."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        delivered = connection.execute(
            "select sha256 from quality.source_files where sha256 is not null"
        ).fetchall()
    assert delivered
    hashes = ["f" * 64, *(sha256 for (sha256,) in delivered)]
    shared = rendered(warehouse, results, record, private=False)
    assert [each for each in hashes if each in shared] == []
    private = rendered(warehouse, results, record, private=True)
    assert [each for each in hashes if each not in private] == []


def test_the_private_edition_names_patients_numbers_and_events(
    warehouse: Path, results: list[CheckResult], record: report.RunRecord
) -> None:
    text = rendered(warehouse, results, record, private=True)
    assert tables(text)["Patients who moved"][1:] == [[PATIENT, "OS", "310 days", "330 days"]]
    assert tables(text)["Numbers that moved"][1:] == [
        ["her2_mcrc.fig1.all.os.first-line.median_months", "12.3", "45.6"]
    ]
    assert tables(text)["Raw rows that changed"][1:] == [["patients", "2", "1", "0"]]
    assert tables(text)["Audit trail"][1][:4] == ["1", "2026-01-01", "run signed", "ada"]
    assert text.count("PRIVATE") >= 2
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert not re.search(r"<(script|iframe|object|embed|form|base)\b", text)


@pytest.mark.parametrize("private", [True, False])
def test_the_records_that_break_a_rule_are_named_in_private_only(
    warehouse: Path, results: list[CheckResult], private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that every row breaks: its records are those of the table."""
    table = "staging.stg_common__vital_status"
    broken = next(check for check in checks.all_checks() if check.table == table)
    broken = replace(broken, rule=Condition("true"))
    monkeypatch.setattr(report, "all_checks", lambda: [broken])
    failed = next(
        replace(result, status="fail", n_violating=1, n_checked=1)
        for result in results
        if (result.check_id, result.table_name) == (broken.check_id, table)
        and result.column_name == ", ".join(broken.columns)
    )
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "update quality.source_files set file_id = case table_name when 'vital_status' "
            f"then (select min(src_rid) >> 32 from {table}) else -file_id end"
        )
        records = connection.execute(
            f"select src_rid & 4294967295 from {table} order by src_rid"
        ).fetchall()
    assert records
    text = rendered(warehouse, [failed], None, private=private)
    said = ", ".join(f"vital_status.csv {record}" for (record,) in records)
    assert (f"<dd>{said}</dd>" in text) is private
    assert private or "Records, by file and number" not in text


def test_the_outline_is_complete(
    warehouse: Path, results: list[CheckResult], record: report.RunRecord
) -> None:
    text = rendered(warehouse, results, record, private=False)
    for part in (
        "scope", "changes", "checks", "failures", "accounting", "quarantine", "attrition",
        "completeness", "follow-up", "recomputation", "results", "crosswalk", "lineage",
        "manifest", "trail", "sign-off", "glossary",
    ):  # fmt: skip
        assert section(text, part)
    assert "<svg" in section(text, "attrition")
    assert "<svg" in section(text, "lineage")
    assert "e" * 64 in section(text, "manifest")


def test_the_first_run_has_nothing_to_compare(
    warehouse: Path, results: list[CheckResult], record: report.RunRecord
) -> None:
    first = replace(
        record,
        manifest={**record.manifest, "previous": None},
        since=None,
        since_is_signed=False,
        signatures=(),
    )
    text = rendered(warehouse, results, first, private=False)
    assert "This is the first published run" in section(text, "changes")


def test_a_run_before_that_cannot_be_read_is_not_called_none(
    warehouse: Path, results: list[CheckResult], record: report.RunRecord
) -> None:
    text = section(
        rendered(warehouse, results, replace(record, since=None), private=False), "changes"
    )
    assert "first published run" not in text
    assert "was withdrawn or cannot be read. See: rwe verify run-a" in text
    assert "no longer valid: quality.html was changed after it" in text
