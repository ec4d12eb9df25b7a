"""A patient of two runs is erased; the command is killed and stopped before it may finish."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from pipeline.paths import Layout
from tests import processes
from tests.conftest import rwe
from tests.faults.trials import hashes
from tests.processes import PARSED, PROCESSES, exit_code
from tests.two_runs import Runs

SEED = 5
KILLED_AT_NODES = 60
STOPPED_WITHIN_SECONDS = 12
SOME = 17
NO_FAULT = "nowhere:1:raise"


@dataclass
class Erased:
    """What was there before an erasure, what happened on the way, and what it left."""

    folder: Path
    layout: Layout
    before: Runs
    key_file: Path
    patient_key: str
    number: str
    identifiers: set[str]
    """The patient's number, pseudonym, and the keys of some delivered records."""
    n_records: int
    interrupted: list[tuple[str, int]] = field(default_factory=list)
    output: str = ""

    def rwe(self, *arguments: object) -> tuple[int, str]:
        finished = rwe(*arguments, *self.places, key_file=self.key_file, check=False)
        return finished.returncode, finished.stdout + finished.stderr

    @property
    def places(self) -> tuple[object, ...]:
        return ("--work", self.layout.work, "--published", self.layout.published)

    @property
    def new_run(self) -> str:
        return self.layout.current.resolve().name


@pytest.fixture(scope="session")
def erased(pair: Runs, tmp_path_factory: pytest.TempPathFactory) -> Erased:
    folder = tmp_path_factory.mktemp("erased")
    layout = Layout(folder / "work", folder / "published")
    shutil.copytree(pair.layout.work, layout.work)
    shutil.copytree(pair.layout.published, layout.published, symlinks=True)
    number, patient_key = _somebody(pair)
    found = Erased(
        folder, layout, pair, pair.folder / "pseudonym.key", patient_key, number,
        {number, patient_key, *_record_keys(pair, number)[::SOME]},
        len(_record_keys(pair, number)),
    )  # fmt: skip
    before = hashes(layout.published)
    drawn = random.Random(SEED)
    _attempt(found, f"build:{drawn.randrange(1, KILLED_AT_NODES)}:kill")
    _attempt(found, stop_after=drawn.uniform(0, STOPPED_WITHIN_SECONDS))
    still = hashes(layout.published)
    assert {path: still.get(path) for path in before} == before
    code, found.output = found.rwe("erase", number, "--site", "H01", "--yes")
    assert code == 0, found.output
    return found


def _attempt(erased: Erased, fault: str = NO_FAULT, stop_after: float | None = None) -> None:
    """Begin the erasure and let it not end."""
    told = {**os.environ, **PARSED, "RWE_KEY_FILE": str(erased.key_file), "RWE_FAULT": fault}
    command = ["erase", erased.patient_key, "--yes", *map(str, erased.places)]
    process = PROCESSES.Process(
        target=processes.run, args=(processes.rwe, command, told, erased.folder.parent)
    )
    process.start()
    if stop_after is not None:
        time.sleep(stop_after)
        process.terminate()
    erased.interrupted.append((fault, exit_code(process)))


def _somebody(runs: Runs) -> tuple[str, str]:
    """Number and pseudonym of a member of the cohort whose record nobody put right."""
    with duckdb.connect(str(runs.layout.work / "warehouse.duckdb"), read_only=True) as connection:
        patient_key, src_rid = connection.execute(
            "select cohort.patient_key, patients.src_rid from cohort.cohort "
            "inner join staging.stg_common__patients as patients using (patient_key) "
            "where included and patient_key <> ? order by all limit 1",
            [runs.corrected],
        ).fetchone() or ("", 0)
    with (runs.folder / "again" / "patients.csv").open(encoding="utf-8", newline="") as stream:
        records = list(csv.DictReader(stream))
    return records[(src_rid & ((1 << 32) - 1)) - 1]["patient_id"], patient_key


def _record_keys(runs: Runs, number: str) -> list[str]:
    """The first value of each of the patient's records, file by file."""
    keys: list[str] = []
    for path in sorted((runs.folder / "again").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row.get("patient_id") == number]
        keys += [next(iter(row.values())) for row in rows]
    return keys


def events(work: Path, kind: str) -> list[dict[str, object]]:
    """What the audit trail tells of events of one kind."""
    from pipeline import audit

    return [json.loads(event.detail) for event in audit.events(work) if event.kind == kind]
