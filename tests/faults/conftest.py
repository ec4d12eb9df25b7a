"""What the tests of faults share: a small finished build to publish from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pipeline.paths import Layout
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


@pytest.fixture(scope="session")
def published_once(
    demo: Run, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    """A published run, made from the small build."""
    folder = tmp_path_factory.mktemp("published-once")
    key_file = folder / "pseudonym.key"
    return published_from(Layout(prepared, folder / "published"), demo.extract, key_file)


@pytest.fixture
def published(
    published_once: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Published:
    """A copy to spoil, and the means to publish another run there."""
    monkeypatch.setenv("RWE_KEY_FILE", str(published_once.key_file))
    layout = Layout(tmp_path / "work", tmp_path / "published")
    shutil.copytree(published_once.layout.work, layout.work)
    shutil.copytree(published_once.layout.published, layout.published, symlinks=True)
    return replace(published_once, layout=layout)
