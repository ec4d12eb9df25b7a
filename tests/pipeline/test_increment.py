"""Changes built on the last build give what a full build of the same rows gives."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from expectations import gate
from expectations.checks import Key
from expectations.run import Counts, all_checks
from expectations.tables import MARTS, columns
from pipeline import dbt_docs, diff, increment, ledger, manifest, publish, run, verify
from pipeline.content import Content, content
from pipeline.contract import Table, read_contract
from pipeline.delivery import land
from pipeline.paths import Layout
from pipeline.pseudonyms import require_key
from pipeline.transform import dbt_build
from synthetic import generate
from tests.processes import PARSED

PATIENTS = 200
MOST_CHECKS = 0.6
"""At least this share of the checks need not look at every patient."""
BEFORE_MARTS = ("staging", "intermediate")
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


@dataclass(frozen=True)
class Deliveries:
    """A delivery without one patient, then this one and three others as they are meanwhile."""

    first: Path
    changes: Path
    patients: frozenset[str]


@pytest.fixture
def deliveries(tmp_path: Path) -> Deliveries:
    everything, first, changes = (tmp_path / name for name in ("everything", "first", "changes"))
    generate(everything, patients=PATIENTS, seed=3)
    with (everything / "patients.csv").open(newline="", encoding="utf-8") as stream:
        numbers = [row["patient_id"] for row in csv.DictReader(stream)]
    new, *changed = numbers[10:14]
    about = everything / "delivery.csv"
    about.write_text(with_covers(about.read_text(encoding="utf-8")), encoding="utf-8")

    def earlier(table: Table, rows: list[Row]) -> list[Row]:
        if table.name == "delivery":  # of real patients, some of whose values are withheld
            return [{**rows[0], "synthetic": "no"}]
        if table.name == "drug_administrations":  # in quarantine: one stays there, one leaves it
            spoilt = [rows[0], next(row for row in rows if row["patient_id"] in changed)]
            rows = [
                {**row, "record_type": "no such type"} if row in spoilt else row for row in rows
            ]
        return [row for row in rows if row["patient_id"] != new]

    def later(table: Table, rows: list[Row]) -> list[Row]:
        if table.name == "delivery":
            return [{**rows[0], "synthetic": "no", "covers": "changes", "delivery_id": "later"}]
        mine = [row for row in rows if row["patient_id"] in (new, *changed)]
        if table.name in ("drug_administrations", "adverse_events", "consent"):
            return mine[: len(mine) * 2 // 3]
        if table.name == "procedures":
            return [{**row, "procedure_type": "no such procedure"} for row in mine[:2]]
        return mine

    for folder, change in ((first, earlier), (changes, later)):
        shutil.copytree(everything, folder)
        rewritten(folder, change)
    return Deliveries(first, changes, frozenset((new, *changed)))


def contents(warehouse: Path, schemas: Sequence[str] = MARTS) -> dict[str, Content]:
    """What every table holds, the results of the checks apart: they name their run."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where list_contains(?, table_schema) and table_name <> 'expectation_results'",
            [list(schemas)],
        ).fetchall()
        return {name: content(connection, name, columns(connection, name)) for (name,) in found}


def checked(layout: Layout) -> list[tuple[object, ...]]:
    """What came of every check of the last run."""
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
        return connection.execute(
            "select check_id, table_name, column_name, status, n_violating, n_checked, blocks, "
            "detail from quality.expectation_results where run_id = "
            "(select max(run_id) from quality.expectation_results) order by all"
        ).fetchall()


def rows_of(folder: Path, table: Table) -> list[Row]:
    with (folder / table.file_name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def of_seeds(layout: Layout) -> set[str]:
    """The names of the seeds, and of the tests that look at nothing else."""
    nodes = json.loads((layout.target / "manifest.json").read_text())["nodes"].values()
    return {
        node["name"]
        for node in nodes
        if node["resource_type"] in ("seed", "test")
        and all(name.startswith("seed.") for name in node["depends_on"].get("nodes", []))
    }


def test_changes_on_the_last_build_equal_a_full_build(
    deliveries: Deliveries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "pseudonym.key"))
    monkeypatch.setenv("RWE_RUN_ID", "")
    step, whole = (
        Layout(tmp_path / name / "work", tmp_path / name / "published")
        for name in ("step", "whole")
    )
    for name, value in PARSED.items():
        monkeypatch.setenv(name, value)

    # Every step of `rwe build`, twice; the second time on top of what the first has left.
    began_with: list[Path] = []
    known: dict[Key, Counts] = {}
    entered: set[str] = set()
    begin = publish.Copy.unchanged

    def put(name: bytes, _: bytes) -> None:
        if os.fsdecode(name) not in os.environ:
            entered.add(os.fsdecode(name))

    def unchanged(copy: publish.Copy, run_folder: Path, *told: Any) -> None:
        began_with.append(run_folder)
        monkeypatch.setattr(os, "putenv", put)
        begin(copy, run_folder, *told)

    def knowing(counts: Mapping[Key, Counts]) -> AbstractContextManager[None]:
        known.update(counts)
        return gate.knowing(counts)

    monkeypatch.setattr(publish.Copy, "unchanged", unchanged)
    monkeypatch.setattr(increment, "gate", SimpleNamespace(knowing=knowing))

    def built(folder: Path) -> tuple[run.Outcome, set[str]]:
        """What was built, and the names of the models and tests that dbt ran for it."""
        ran: set[str] = set()
        progress = lambda _done, _total, name: ran.add(name)  # noqa: E731
        return run.run(folder, step, step=lambda _: None, progress=progress), ran

    one, ran = built(deliveries.first)
    assert not began_with
    assert not known
    before, found_before = contents(step.warehouse), checked(step)
    two, ran_for_changes = built(deliveries.changes)
    assert len(ran) > 200
    assert ran - ran_for_changes == of_seeds(step)
    assert entered == set(), "the environment moves while a thread copies"
    assert began_with == [step.published / one.run_id]
    assert len(known) > MOST_CHECKS * len(all_checks())
    left = {path.name for path in step.work.iterdir()}
    assert not left & {increment.WHOLE, increment.CHANGES, increment.BEFORE}

    # All rows at once, in another place.
    monkeypatch.setenv("RWE_RUN_ID", "whole")
    ledger.accept(whole.work, land(deliveries.first, whole.work).seq, "before")
    dbt_build(deliveries.changes, whole, lambda *_: None)
    whole.published.mkdir()
    assert contents(step.warehouse) == contents(whole.warehouse)
    assert contents(step.warehouse) != before
    assert checked(step) == checked(whole)
    assert checked(step) != found_before

    # So is what is left of the tables before; what is numbered within a build is not.
    remaining, all_there = (contents(one.warehouse, BEFORE_MARTS) for one in (step, whole))
    assert remaining == {name: all_there[name] for name in remaining}
    assert len(all_there) > len(remaining) > len(all_there) / 2

    # What is published is what a copy of the whole would be, and what its manifest says.
    file = tmp_path / publish.WAREHOUSE
    with publish.Copy(whole, file) as copy:
        copy.built()
        copy.results()
        copy.finish()
    assert contents(two.warehouse) == contents(file)
    with duckdb.connect(str(file), read_only=True) as connection:
        withheld = connection.execute(
            "select count(*) from cohort.cohort where included and index_year is null"
        ).fetchone()
    assert withheld != (0,)
    assert not verify.broken(verify.verify(step, two.run_id))

    # Its documentation has the SQL of every model, whichever of the two dbt runs compiled it.
    page = (two.warehouse.parent / dbt_docs.DOCS).read_text(encoding="utf-8")
    documented, _ = json.JSONDecoder().raw_decode(page, page.index('{"metadata"'))
    models = [n for n in documented["nodes"].values() if n["resource_type"] == "model"]
    assert [node["name"] for node in models if not node["compiled_code"]] == []

    # The rows that a reader is told of are those that changed, and no others.
    found = diff.compare(step, one.run_id, two.run_id).rows
    assert found is not None
    for table in TABLES:
        old = rows_of(deliveries.first, table)
        new = rows_of(deliveries.changes, table)
        if table.patient_column:
            old = [row for row in old if row["patient_id"] in deliveries.patients]
        gone, come = (Counter(tuple(row.items()) for row in rows) for rows in (old, new))
        told = next((one for one in found if one.table == table.name), None)
        n = [len(told.added), len(told.withdrawn), len(told.corrected)] if told else [0, 0, 0]
        assert (n[0] + n[2], n[1] + n[2]) == ((come - gone).total(), (gone - come).total())


def test_what_a_killed_build_of_changes_left_is_removed(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "work", tmp_path / "published")
    layout.work.mkdir()
    kept = layout.work / "audit.duckdb"
    kept.touch()
    for name in (increment.BUILT, increment.WHOLE, increment.CHANGES, increment.BEFORE):
        (layout.work / name).touch()
        (layout.work / f"{name}.wal").touch()
        (layout.work / f"{name}.tmp").mkdir()
    increment.forget_build(layout)
    assert list(layout.work.iterdir()) == [kept]


@dataclass
class Landed:
    """A finished build of the first delivery, and what the second, now landed, says of itself."""

    layout: Layout
    seq: int = 2
    covers: str = "changes"
    base_seq: int | None = 1

    def brings(self, before: int) -> None:
        """Let rows be landed of a table that had so many before, and none of another."""
        folder = ledger.raw_folder(self.layout.work, self.seq)
        folder.mkdir(parents=True, exist_ok=True)
        duckdb.execute(
            f"copy (select {before} as n_before, 1 as n_records union all select 0, 0) "
            f"to '{folder / 'files.parquet'}'"
        )

    def last_build(self) -> increment.LastBuild | None:
        return increment.last_build(self.layout, self)  # type: ignore[arg-type]


HELD = {"cohort.cohort": Content(("patient_key",), 1, 2, 3, 4)}


@pytest.fixture
def landed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Landed:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "pseudonym.key"))
    require_key(None)
    found = Landed(Layout(tmp_path / "work", tmp_path / "published"))
    found.brings(3)
    found.layout.warehouse.write_text("built")
    increment.note_build(found.layout, 1, "before", HELD)
    return found


def test_changes_that_bring_the_first_rows_of_a_table_are_built_in_full(landed: Landed) -> None:
    """What rested on the table was unknown of every patient, also of those who did not change."""
    assert landed.last_build() == increment.LastBuild("before", HELD)
    landed.brings(0)
    assert landed.last_build() is None


@pytest.mark.parametrize(
    "what", ["code", "seeds", "rules", "built", "gone", "no note", "half a note", "base", "all"]
)
def test_what_is_not_the_last_build_of_these_rules_is_not_built_on(
    what: str, landed: Landed, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "code":
        monkeypatch.setattr(manifest, "code", lambda: {"tree_sha256": "another"})
    elif what in ("seeds", "rules"):
        rules = {**manifest.configuration(Path()), what: {"one": "another"}}
        monkeypatch.setattr(manifest, "configuration", lambda _: rules)
    elif what == "built":
        landed.layout.warehouse.write_text("built by something else")
    elif what == "gone":
        landed.layout.warehouse.unlink()
    elif what == "no note":
        (landed.layout.work / increment.BUILT).unlink()
    elif what == "half a note":
        (landed.layout.work / increment.BUILT).write_text('{"made_of"')
    elif what == "base":
        landed.base_seq = 3
    else:
        landed.covers, landed.base_seq = "all", None
    assert landed.last_build() is None


def with_covers(text: str) -> str:
    header, row = text.splitlines()[:2]
    return text if "covers" in header else f"{header},covers\n{row},\n"
