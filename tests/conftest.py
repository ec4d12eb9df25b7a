"""The demo, built once for all tests that need a whole warehouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.browser import CHROMIUM, WIDTHS, Opened

PROJECT = Path(__file__).resolve().parent.parent
PATIENTS = PROJECT / "tests" / "patients"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases",
        action="append",
        type=Path,
        metavar="FILE",
        help="with tests/patients: a file of timelines or of endpoint cases to run instead of the "
        "shipped ones; may be repeated",
    )


def named_cases(config: pytest.Config, kind: str) -> list[Path]:
    """The files of --cases that hold `endpoint` cases or line-of-therapy `timeline`s."""
    files: list[Path] = config.getoption("--cases") or []
    return [file for file in files if _kind_of(file) == kind]


def _kind_of(file: Path) -> str:
    cases = yaml.safe_load(file.read_text(encoding="utf-8"))["cases"]
    return "endpoint" if all("endpoint" in case for case in cases) else "timeline"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --cases, run only the tests that the named files are about."""
    if not config.getoption("--cases"):
        return
    for item in [*items]:
        if PATIENTS in item.path.parents:
            kind = "endpoint" if PATIENTS / "endpoints" in item.path.parents else "timeline"
            if not named_cases(config, kind):
                items.remove(item)


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless; for tests marked needs_chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield launched
        launched.close()


@pytest.fixture(params=WIDTHS, ids=lambda width: f"{width}px")
def opened(browser: Any, page_file: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The folder's `page_file` at desktop and at telephone width."""
    found = Opened(browser, page_file, request.param)
    yield found
    found.page.close()
