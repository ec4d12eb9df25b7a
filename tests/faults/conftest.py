"""What the tests of faults share: a small finished build to publish from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipeline.publish import LISTED_SCHEMAS, REFERENCE
from tests.conftest import Run
from tests.faults.trials import Published, published_from

FEW_ROWS = 60


@pytest.fixture(scope="session")
def prepared(demo: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a finished build: the demo's tables, few rows of each."""
    work = tmp_path_factory.mktemp("prepared")
    (work / "target").mkdir()
    shutil.copy(demo.work / "target" / "manifest.json", work / "target")
    with duckdb.connect(str(work / "warehouse.duckdb")) as connection:
        connection.execute(f"attach '{demo.work / 'warehouse.duckdb'}' as demo (read_only)")
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'demo' and "
            "(list_contains(?, schema_name) or table_name = 'stg_common__delivery')",
            [[*LISTED_SCHEMAS, REFERENCE]],
        ).fetchall()
        for schema, table in tables:
            rows = "" if schema in (REFERENCE, "staging") else f" limit {FEW_ROWS}"
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table {schema}.{table} as from demo.{schema}.{table}{rows}")
    return work


@pytest.fixture
def published(
    demo: Run, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Published]:
    """A published run, made from the small build, and the means to publish another."""
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "keys" / "pseudonym.key"))
    work = tmp_path / "work"
    shutil.copytree(prepared, work)
    yield published_from(work, tmp_path / "published", demo.extract)
