"""The tiny warehouse of tests/expectations, judged, and its page."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest

sys.path[:0] = [
    str(Path(__file__).parents[2]),
    str(Path(__file__).parents[1] / "expectations"),
    str(Path(__file__).parent),
]

import clean_case  # noqa: E402
from quality_page import RUN, Page  # noqa: E402

from expectations import history, report  # noqa: E402
from expectations import run as checks  # noqa: E402
from expectations.checks import CheckResult  # noqa: E402

DELIVERED = """
    update quality.source_files
    set
        file_name = table_name || '.csv', sha256 = repeat('a', 64),
        n_records = coalesce(n_records, 0), n_staged = coalesce(n_records, 0), n_quarantined = 0
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clean case with an account of its files; no check has run."""
    path = tmp_path_factory.mktemp("tiny") / "warehouse.duckdb"
    clean_case.create(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(DELIVERED)
        connection.execute("update staging.stg_common__delivery set synthetic = 'yes'")
    return path


@pytest.fixture(scope="session")
def results(tiny: Path) -> list[CheckResult]:
    """What the checks find in it."""
    return checks.run(tiny)


@pytest.fixture
def warehouse(tiny: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copyfile(tiny, path)
    return path


@pytest.fixture
def page(warehouse: Path, results: list[CheckResult]) -> Page:
    """Return the page of the tiny warehouse after the statements."""

    def rendered(*statements: str, stored: Iterable[CheckResult] | None = None) -> str:
        with duckdb.connect(str(warehouse)) as connection:
            history.write(connection, results if stored is None else stored, RUN["run_id"])
            for statement in statements:
                connection.execute(statement)
            return report.page(connection, run=RUN)

    return rendered
