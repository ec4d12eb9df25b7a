"""Changes built on the last build give what a full build of the same rows gives."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from expectations import gate
from expectations.checks import Key
from expectations.history import RESULTS_TABLE
from expectations.run import Counts, all_checks
from expectations.tables import columns
from pipeline import increment, ledger, manifest, publish
from pipeline.content import Content, content
from pipeline.contract import Table, read_contract
from pipeline.delivery import land
from pipeline.paths import Layout
from pipeline.transform import dbt_build
from synthetic import generate
from tests.processes import PARSED

PATIENTS = 200
MOST_CHECKS = 0.6
"""At least this share of the checks need not look at every patient."""
TABLES = read_contract().tables.values()

Row = dict[str, str]


def rewritten(folder: Path, change: Callable[[Table, list[Row]], list[Row]]) -> None:
    """Change the rows of every file of a delivery."""
    for table in TABLES:
        path = folder / table.file_name
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            rows = change(table, list(reader))
            names = list(reader.fieldnames or [])
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(rows)


def built(folder: Path, layout: Layout) -> None:
    dbt_build(folder, layout, lambda *_: None)


def contents(warehouse: Path) -> dict[str, Content]:
    """What every mart holds, the results of the checks apart: they name their run."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema in ('cohort', 'treatment', 'survival', 'safety', 'quality') "
            "and table_name <> 'expectation_results'"
        ).fetchall()
        return {name: content(connection, name, columns(connection, name)) for (name,) in found}


def test_changes_on_the_last_build_equal_a_full_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "pseudonym.key"))
    everything, first, changes = (tmp_path / name for name in ("everything", "first", "changes"))
    generate(everything, patients=PATIENTS, seed=3)
    with (everything / "patients.csv").open(newline="", encoding="utf-8") as stream:
        numbers = [row["patient_id"] for row in csv.DictReader(stream)]
    new, *changed = numbers[10:14]

    shutil.copytree(everything, first)
    rewritten(first, lambda table, rows: [r for r in rows if r.get("patient_id") != new])

    def later(table: Table, rows: list[Row]) -> list[Row]:
        if table.name == "delivery":
            return [{**rows[0], "covers": "changes", "delivery_id": "later"}]
        mine = [row for row in rows if row["patient_id"] in (new, *changed)]
        if table.name in ("drug_administrations", "adverse_events", "consent"):
            return mine[: len(mine) * 2 // 3]
        if table.name == "procedures":
            return [{**row, "procedure_type": "no such procedure"} for row in mine[:2]]
        return mine

    shutil.copytree(everything, changes)
    about = changes / "delivery.csv"
    about.write_text(with_covers(about.read_text(encoding="utf-8")), encoding="utf-8")
    rewritten(changes, later)

    step, whole = (
        Layout(tmp_path / name / "work", tmp_path / name / "published")
        for name in ("step", "whole")
    )
    for layout in (step, whole):
        landed = land(first, layout.work)
        ledger.accept(layout.work, landed.seq, "run-1")
        layout.published.mkdir()
    for name, value in PARSED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RWE_RUN_ID", "run-1")
    built(first, step)
    parsed = step.target / "partial_parse.msgpack"
    monkeypatch.setenv("DBT_PARTIAL_PARSE_FILE_PATH", str(shutil.copy(parsed, tmp_path)))
    increment.note_build(step, 1, "run-1", published(step, "run-1"))
    before, found_before = contents(step.warehouse), checked(step)
    delivered = land(changes, step.work)
    last = increment.last_build(step, delivered)
    assert last
    known: dict[Key, Counts] = {}

    def knowing(counts: Mapping[Key, Counts]) -> AbstractContextManager[None]:
        known.update(counts)
        return gate.knowing(counts)

    monkeypatch.setattr(increment, "gate", SimpleNamespace(knowing=knowing))
    monkeypatch.setenv("RWE_RUN_ID", "run-2")
    (step.published / "run-2").mkdir()
    file = step.published / "run-2" / publish.WAREHOUSE
    with publish.Copy(step, file) as copy:
        copied_before = step.published / "run-1"
        copy.unchanged(copied_before, last.held, increment.replaced(step, delivered))
        increment.build(changes, delivered, last, step, lambda *_: None)
        copy.built()
        copied = copy.finish()
    built(changes, whole)

    assert contents(step.warehouse) == contents(whole.warehouse)
    assert contents(step.warehouse) != before
    assert not increment.last_build(step, delivered), "the build it stood on is gone"
    # The checks: most of them have counted the changed patients only, and found the same.
    assert checked(step) == checked(whole)
    assert checked(step) != found_before
    assert len(known) > MOST_CHECKS * len(all_checks())
    # What is published, and what its manifest says of it.
    assert without_results(copied) == without_results(published(whole, "run-2"))
    assert contents(file) == contents(whole.published / "run-2" / publish.WAREHOUSE)
    told = [manifest.relation(name, held) for name, held in sorted(copied.items())]
    with duckdb.connect(str(file), read_only=True) as connection:
        assert manifest.relations(connection) == told


def published(layout: Layout, run_id: str) -> dict[str, Content]:
    """Copy a build to where a run is published; there are no results of an analysis."""
    (layout.published / run_id).mkdir()
    with publish.Copy(layout, layout.published / run_id / publish.WAREHOUSE) as copy:
        copy.built()
        return copy.finish()


def without_results(held: dict[str, Content]) -> dict[str, Content]:
    """What tables hold but the results of the checks, which name their run."""
    return {name: content for name, content in held.items() if name != RESULTS_TABLE}


def checked(layout: Layout) -> list[tuple[object, ...]]:
    """What came of every check of the last run."""
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
        return connection.execute(
            "select check_id, table_name, column_name, status, n_violating, n_checked, blocks, "
            "detail from quality.expectation_results where run_id = "
            "(select max(run_id) from quality.expectation_results) order by all"
        ).fetchall()


def with_covers(text: str) -> str:
    header, row = text.splitlines()[:2]
    return text if "covers" in header else f"{header},covers\n{row},\n"
