"""A tiny warehouse in which every check passes, as a template that a test copies and spoils."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import duckdb
import pytest

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import clean_case  # noqa: E402


@pytest.fixture(scope="session")
def clean_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clean") / "warehouse.duckdb"
    clean_case.create(path)
    return path


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tables without a row."""
    path = tmp_path_factory.mktemp("empty") / "warehouse.duckdb"
    clean_case.create(path, rows={})
    return path


@pytest.fixture
def spoil(clean_warehouse: Path, tmp_path: Path) -> clean_case.Spoil:
    """Return a copy of the clean warehouse after the statements."""

    def copy_and_execute(*statements: str) -> Path:
        path = tmp_path / "warehouse.duckdb"
        shutil.copyfile(clean_warehouse, path)
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        return path

    return copy_and_execute
