"""Builds the treatment models on a delivery of timelines, with the rule sets that these need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.pseudonyms import load_key, pseudonym
from tests.patients.rule_sets import RuleSeeds
from tests.patients.timelines import SITE_CODE, Timeline, patient_number

PROJECT = Path(__file__).resolve().parents[2]
SEEDS = PROJECT / "seeds"
LINKED = ("models", "macros", "tests", "dbt_project.yml", "profiles.yml")
KEY_BYTES = b"timelines-of-invented-patients-1"


@dataclass(frozen=True)
class Warehouse:
    """A built warehouse of timelines, open for reading."""

    connection: duckdb.DuckDBPyConnection
    key: bytes

    def patient(self, timeline: Timeline, variant: str = "plain") -> str:
        """The pseudonym of the patient who lives one variant of a timeline."""
        return pseudonym(SITE_CODE, patient_number(timeline.case_id, variant), self.key)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query as dictionaries."""
        result = self.connection.execute(query, list(parameters))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def lines(self, patient_key: str, rule_set_id: str) -> list[dict[str, Any]]:
        """A patient's lines under one rule set, in order."""
        return self.rows(
            "select * from treatment.lines_of_therapy "
            "where patient_key = ? and rule_set_id = ? order by line_number",
            patient_key,
            rule_set_id,
        )


def build(folder: Path, seeds: RuleSeeds, select: Iterable[str]) -> Warehouse:
    """Build the selected nodes on `folder/delivery`, in a copy of the project with these seeds.

    Raises AssertionError with dbt's output where the build or one of its tests fails.
    """
    project = folder / "project"
    project.mkdir()
    for name in LINKED:
        (project / name).symlink_to(PROJECT / name)
    shutil.copytree(SEEDS, project / "seeds")
    seeds.write(project / "seeds" / "therapy")
    key_file = folder / "pseudonym.key"
    key_file.write_bytes(KEY_BYTES)
    key_file.chmod(0o600)
    database = folder / "warehouse.duckdb"
    finished = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            "build",
            *("--select", *select),
            # The timelines hold what the gate refuses: drugs without a dose.
            *("--exclude", "extract_gate"),
            *("--vars", f"delivery: {folder / 'delivery'}"),
            *("--project-dir", str(project)),
            *("--profiles-dir", str(project)),
            *("--target-path", str(folder / "target")),
            *("--log-path", str(folder / "logs")),
        ],
        cwd=PROJECT,
        env={**os.environ, "RWE_DATABASE": str(database), "RWE_KEY_FILE": str(key_file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, f"dbt build failed:\n{finished.stdout}\n{finished.stderr}"
    os.environ["RWE_KEY_FILE"], before = str(key_file), os.environ.get("RWE_KEY_FILE")
    try:
        key = load_key()
    finally:
        if before is None:
            del os.environ["RWE_KEY_FILE"]
        else:
            os.environ["RWE_KEY_FILE"] = before
    return Warehouse(duckdb.connect(str(database), read_only=True), key)
