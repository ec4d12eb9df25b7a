"""The demo, built once for all tests that need a whole warehouse."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from filelock import FileLock

from tests import processes
from tests.browser import CHROMIUM, WIDTHS, Opened

pytest_plugins = ["tests.two_runs"]

PROJECT = processes.PROJECT
PATIENTS = PROJECT / "tests" / "patients"
LONGEST_FIRST = (
    "promises",
    "faults",
    "dirty",
    "test_sql_style.py",
    "study",
    "audit",
    "patients",
    "pipeline",
)
"""What takes minutes: begun last it would keep one worker waiting."""
SAID, SURVIVED = "said", "survived"
Say = Callable[[str], None]


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
    """The longest folders first; with --cases, only the tests that the named files are about."""
    items.sort(key=lambda item: _turn(item.path))
    if not config.getoption("--cases"):
        return
    for item in [*items]:
        if PATIENTS in item.path.parents:
            kind = "endpoint" if PATIENTS / "endpoints" in item.path.parents else "timeline"
            if not named_cases(config, kind):
                items.remove(item)


def _turn(file: Path) -> int:
    folder = file.relative_to(PROJECT / "tests").parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


def named_tests(table: str) -> dict[str, list[str]]:
    """The tests of each fault or promise, by its id: a table of ids below tests/."""
    with (PROJECT / "tests" / table).open(encoding="utf-8", newline="") as stream:
        return {row["id"]: row["tests"].split() for row in csv.DictReader(stream)}


def say_what_held(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many faults and promises of the tables were put to the test and held."""
    outcomes: dict[str, set[str]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if outcome != "passed" or report.when == "call":
                name = report.nodeid.partition("@")[0].partition("[")[0]
                outcomes.setdefault(name, set()).add(outcome)
    for table, what in (
        ("faults/faults.csv", "kinds of faults survived"),
        ("promises/promises.csv", "promises kept"),
    ):
        told = named_tests(table)
        held = [
            name
            for name, tests in told.items()
            if all(outcomes.get(t) == {"passed"} for t in tests)
        ]
        if any(test in outcomes for tests in told.values() for test in tests):
            terminalreporter.write_line(f"{what}: {len(held)} of {len(told)}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give one worker all tests of a file, or of a folder whose conftest.py they share."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = PROJECT / nodeid.partition("::")[0]
            together = file.parent if (file.parent / "conftest.py").exists() else file
            return str(together)

    config.option.loadscopereorder = False
    return ByFolder(config, log)


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


def _unshare() -> tuple[str, ...]:
    command = ("unshare", "--net", "--map-root-user")
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    except OSError:
        return ()
    return () if tried.returncode else command


UNSHARE = _unshare()
"""Before a command it takes the network away; empty where a process may not give it up."""


def rwe(
    *arguments: object, key_file: Path, check: bool = True, within: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; started as a user would, within another command."""
    environment = {
        **os.environ,
        **processes.PARSED,
        "RWE_KEY_FILE": str(key_file),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }
    told = [*map(str, arguments)]
    if within:
        finished = subprocess.run(
            [*within, sys.executable, "-m", "pipeline.cli", *told],
            cwd=PROJECT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    else:
        finished = processes.printed(processes.rwe, told, environment)
    if check and finished.returncode:
        raise AssertionError(f"rwe {arguments} failed:\n{finished.stdout}\n{finished.stderr}")
    return finished


def make_run(folder: Path, *demo_options: object) -> Run:
    """Make a synthetic extract and build it, unless another worker has."""
    run = Run(folder / "extract", folder / "work", folder / "published")
    key_file = folder / "pseudonym.key"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not run.current.exists():
            rwe("demo", run.extract, *demo_options, key_file=key_file)
            rwe("build", run.extract, "--work", run.work, "--published", run.published,
                key_file=key_file)  # fmt: skip
    parsed = run.work / "target" / "partial_parse.msgpack"
    processes.PARSED.setdefault("DBT_PARTIAL_PARSE_FILE_PATH", str(parsed))
    return run


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a parallel run have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def demo(shared: Path) -> Run:
    """The demo extract, built and published."""
    return make_run(shared / "demo")


@pytest.fixture(scope="session")
def another_delivery(shared: Path) -> Run:
    """5,000 patients of another seed, built and published."""
    return make_run(shared / "another", "--patients", 5000, "--seed", 7)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Print a line at the end of the test run."""
    return lambda line: request.node.user_properties.append((SAID, line))


@pytest.fixture
def survived(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """A test appends what fault it injected once everything that must hold has held."""
    faults: list[str] = []
    yield faults
    request.node.user_properties.append((SURVIVED, len(faults)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    said = [
        pair
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for pair in report.user_properties
    ]
    terminalreporter.section("shown")
    for name, line in said:
        if name == SAID:
            terminalreporter.write_line(line)
    survived = sum(n for name, n in said if name == SURVIVED)
    terminalreporter.write_line(f"faults injected and survived: {survived}")
    say_what_held(terminalreporter)


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
