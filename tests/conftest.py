"""The demo, built once for all tests that need a whole warehouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

PROJECT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases",
        action="append",
        type=Path,
        metavar="FILE",
        help="with tests/patients or tests/endpoints: a file of cases to run instead of the "
        "shipped ones; may be repeated",
    )


@dataclass(frozen=True)
class Run:
    """One finished `rwe build`."""

    extract: Path
    work: Path
    published: Path

    @property
    def current(self) -> Path:
        return self.published / "current"

    @property
    def planted(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.extract.with_name(f"{self.extract.name}.planted.json").read_text()
        )
        return found

    def private(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.work / "warehouse.duckdb"), read_only=True)

    def open(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.current / "warehouse.duckdb"), read_only=True)


def rwe(*arguments: object, key_file: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user would."""
    finished = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        cwd=PROJECT,
        env={**os.environ, "RWE_KEY_FILE": str(key_file), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if check and finished.returncode:
        raise AssertionError(f"rwe {arguments} failed:\n{finished.stdout}\n{finished.stderr}")
    return finished


def make_run(folder: Path, *demo_options: object) -> Run:
    run = Run(folder / "extract", folder / "work", folder / "published")
    key_file = folder / "pseudonym.key"
    rwe("demo", run.extract, *demo_options, key_file=key_file)
    rwe("build", run.extract, "--work", run.work, "--published", run.published, key_file=key_file)
    return run


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demo extract, built and published."""
    return make_run(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def another_delivery(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """5,000 patients of another seed, built and published."""
    return make_run(tmp_path_factory.mktemp("another"), "--patients", 5000, "--seed", 7)
