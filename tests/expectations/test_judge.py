"""Stored results judged again: only thresholds change, never what was counted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from expectations.checks import Check, counted, not_applicable
from expectations.history import write
from expectations.judge import judge
from expectations.run import all_checks
from pipeline.cli import app
from pipeline.errors import CommandError

CHECK: Check = next(check for check in all_checks() if check.check_id == "PTH-012")
BLOCKING: Check = next(check for check in all_checks() if check.check_id == "DRG-002")


@pytest.fixture
def work(clean_warehouse: Path, tmp_path: Path) -> Path:
    """A store with two runs: 12 and 22 of 100 equivocal scores unresolved; one drug after death."""
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copyfile(clean_warehouse, warehouse)
    for run_id, violating in (("20260101T000000Z-a", 12), ("20260201T000000Z-b", 22)):
        results = [
            counted(CHECK, violating, 100),
            counted(BLOCKING, 1, 400),
            not_applicable(BLOCKING, "nothing to check", n_checked=0),
        ]
        results[2] = replace(results[2], column_name="another")
        write(warehouse, results, run_id, work=tmp_path)
    return tmp_path


def test_the_thresholds_of_the_catalogue_change_nothing(work: Path) -> None:
    run_id, verdicts = judge(work, None, None)
    assert run_id == "20260201T000000Z-b"
    assert [v.status for v in verdicts] == ["fail", "fail", "not_applicable"]
    assert not any(verdict.changed for verdict in verdicts)


def test_other_thresholds_change_what_they_concern(work: Path) -> None:
    file = work / "thresholds.yml"
    file.write_text(
        "PTH-012: {warn_above: 10, block_above: 20}\nDRG-002: {warn_above: 0, block_above: 0.2}\n"
    )
    _, latest = judge(work, None, file)
    assert [(v.status, v.blocks, v.changed) for v in latest] == [
        ("fail", True, True),
        ("fail", True, True),
        ("not_applicable", False, False),
    ]
    _, first = judge(work, "20260101", file)
    assert (first[0].status, first[0].blocks, first[0].changed) == ("fail", False, True)
    assert first[0].result["status"] == "pass"


def test_a_share_equal_to_the_threshold_does_not_exceed_it(work: Path) -> None:
    file = work / "thresholds.yml"
    file.write_text("PTH-012: {warn_above: 22, block_above: null}\n")
    _, verdicts = judge(work, None, file)
    assert (verdicts[0].status, verdicts[0].changed) == ("pass", True)


def test_the_command_prints_what_changes(work: Path) -> None:
    file = work / "thresholds.yml"
    file.write_text("PTH-012: {warn_above: 30, block_above: null}\n")
    shown = CliRunner().invoke(
        app, ["judge", "--work", str(work), "--thresholds", str(file)], env={"COLUMNS": "200"}
    )
    assert shown.exit_code == 0, shown.output
    assert "PTH-012" in shown.output
    assert "22 of 100" in shown.output
    assert "1 of 3 results change; none forbids publication." in " ".join(shown.output.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NO-001: {warn_above: 1, block_above: null}", "no such check: NO-001"),
        ("PTH-012: high", "each line is a check"),
        ("PTH-012: {warn: 1}", "each line is a check"),
        ("- PTH-012", "each line is a check"),
        ("5: {warn_above: 1}\n6: {warn_above: 1}", "no such check: 5, 6"),
        ("PTH-012: {warn_above: .nan}", "each line is a check"),
        ("PTH-012: {warn_above: -1}", "each line is a check"),
        ("PTH-012: {warn_above: 101}", "each line is a check"),
        ("PTH-012: {warn_above: 20, block_above: 10}", "each line is a check"),
    ],
)
def test_a_file_that_makes_no_sense_is_explained(work: Path, text: str, said: str) -> None:
    file = work / "thresholds.yml"
    file.write_text(text)
    with pytest.raises(CommandError, match=said):
        judge(work, None, file)


def test_a_run_that_is_not_stored_is_said_to_be_missing(work: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no results of run 1999"):
        judge(work, "1999", None)
    with pytest.raises(CommandError, match="no results of run"):
        judge(tmp_path / "nowhere", None, None)
