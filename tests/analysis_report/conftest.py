"""One small warehouse with computed results for all tests of the report, and its page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import small_warehouse  # noqa: E402

from analysis import estimates, report  # noqa: E402
from analysis.exhibits import contents  # noqa: E402


@pytest.fixture(scope="session")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = small_warehouse.build(":memory:")
    estimates.compute(connection, small_warehouse.STUDY)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def book(warehouse: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """results.estimates."""
    return warehouse.execute("select * from results.estimates").fetchdf()


@pytest.fixture(scope="session")
def page(warehouse: duckdb.DuckDBPyConnection) -> str:
    return report.page(
        warehouse, contents(warehouse, small_warehouse.STUDY), run=small_warehouse.RUN
    )


@pytest.fixture(scope="session")
def page_file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
