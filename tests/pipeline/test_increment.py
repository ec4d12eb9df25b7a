"""Changes built on the last build give what a full build of the same rows gives."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from expectations.tables import columns
from pipeline import increment, ledger
from pipeline.content import Content, content
from pipeline.contract import Table, read_contract
from pipeline.delivery import land
from pipeline.paths import Layout
from pipeline.transform import dbt_build
from synthetic import generate
from tests.processes import PARSED

PATIENTS = 200
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


def contents(layout: Layout) -> dict[str, Content]:
    """What every mart holds, the results of the checks apart: they name their run."""
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
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
    for name, value in PARSED.items():
        monkeypatch.setenv(name, value)
    built(first, step)
    parsed = step.target / "partial_parse.msgpack"
    monkeypatch.setenv("DBT_PARTIAL_PARSE_FILE_PATH", str(shutil.copy(parsed, tmp_path)))
    increment.note_build(step, 1, "run-1", {})
    before = contents(step)
    delivered = land(changes, step.work)
    assert increment.last_build(step, delivered)
    increment.build(changes, delivered, step, lambda *_: None)
    built(changes, whole)
    assert contents(step) == contents(whole)
    assert contents(step) != before
    assert not increment.last_build(step, delivered), "the build it stood on is gone"


def with_covers(text: str) -> str:
    header, row = text.splitlines()[:2]
    return text if "covers" in header else f"{header},covers\n{row},\n"
