"""Two runs of one small site: a delivery, and the same with a few rows put right afterwards.

The second comes in another order of rows, with other line endings, and is built without a network.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock

from pipeline.contract import RECORD_BITS
from pipeline.paths import Layout
from tests.conftest import UNSHARE, Run, make_run, rwe

LATER_BY = timedelta(days=20)
SEED = 11

Rows = list[list[str]]


@dataclass(frozen=True)
class Runs:
    """The folders, both runs, and what was put right between them."""

    folder: Path
    layout: Layout
    first: str
    second: str
    corrected: str
    """Pseudonym of an included patient who is delivered as having died later."""
    output: str
    """What the second build printed."""

    def command(self, *arguments: object, check: bool = True) -> tuple[int, str]:
        """Exit code and what `rwe` printed."""
        places = ("--work", self.layout.work, "--published", self.layout.published)
        finished = rwe(*arguments, *places, key_file=self.folder / "pseudonym.key", check=check)
        return finished.returncode, finished.stdout + finished.stderr


@pytest.fixture(scope="session")
def pair(shared: Path) -> Runs:
    folder = shared / "two-runs"
    run = make_run(folder, "--patients", 300, "--seed", SEED)
    layout = Layout(run.work, run.published)
    kept = folder / "second.json"
    with FileLock(folder / "lock"):
        if not kept.exists():
            kept.write_text(json.dumps(_second_run(folder, run)))
    return Runs(folder, layout, **json.loads(kept.read_text()))


def _second_run(folder: Path, run: Run) -> dict[str, str]:
    first = run.current.resolve().name
    patient, record_no = _a_death(run.work / "warehouse.duckdb")
    shutil.copytree(run.extract, folder / "again")
    _rewrite(folder / "again" / "vital_status.csv", lambda rows: _die_later(rows, record_no))
    _rewrite(folder / "again" / "adverse_events.csv", lambda rows: rows[:-1])
    _rewrite(folder / "again" / "performance_status.csv", _repeat_last)
    for path in sorted((folder / "again").glob("*.csv")):
        _rewrite(path, _shuffled, line_end="\r\n")
    built = rwe("build", folder / "again", "--work", run.work, "--published", run.published,
                key_file=folder / "pseudonym.key", within=UNSHARE)  # fmt: skip
    return {
        "first": first,
        "second": run.current.resolve().name,
        "corrected": patient,
        "output": built.stdout + built.stderr,
    }


@pytest.fixture
def runs(pair: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """A copy to spoil."""
    shutil.copytree(pair.layout.work, tmp_path / "work", ignore=shutil.ignore_patterns("target"))
    shutil.copytree(pair.layout.published, tmp_path / "published", symlinks=True)
    monkeypatch.setenv("RWE_KEY_FILE", str(pair.folder / "pseudonym.key"))
    layout = Layout(tmp_path / "work", tmp_path / "published")
    return replace(pair, layout=layout)


def _a_death(warehouse: Path) -> tuple[str, int]:
    """An included patient who died well before the cut-off, and the record that says so."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute(
            """
            select patient_key, src_rid & ?
            from survival.survival_intervals as intervals
            inner join cohort.cohort using (study_id, patient_key)
            inner join staging.stg_common__vital_status as vital using (patient_key)
            inner join reference.studies using (study_id)
            where
                included
                and endpoint = 'OS'
                and line_number = 1
                and intervals.line_rule_set_id = studies.line_rule_set_id
                and intervals.endpoint_rule_set_id = studies.endpoint_rule_set_id
                and event
                and list_contains(intervals.src_rids, src_rid)
                and end_date < date '2019-01-01'
            order by patient_key
            limit 1
            """,
            [RECORD_BITS],
        ).fetchone()
    assert found is not None
    return found


def _rewrite(path: Path, change: Callable[[Rows], Rows], line_end: str = "\n") -> None:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator=line_end).writerows(change(rows))


def _die_later(rows: Rows, record_no: int) -> Rows:
    death = rows[0].index("death_date")
    before = rows[record_no][death]
    after = (date.fromisoformat(before) + LATER_BY).isoformat()
    rows[record_no] = [after if cell == before else cell for cell in rows[record_no]]
    return rows


def _shuffled(rows: Rows) -> Rows:
    header, *records = rows
    random.Random(SEED).shuffle(records)
    return [header, *records]


def _repeat_last(rows: Rows) -> Rows:
    return [*rows, [f"{rows[-1][0]}-again", *rows[-1][1:]]]
