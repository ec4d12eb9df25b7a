"""What identifies a table, the code and a run."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import duckdb
import pytest

from expectations.tables import columns
from pipeline import manifest
from pipeline.content import LOW_HALF, content
from pipeline.pseudonyms import require_key

ROWS = "(values (1, 'a', 0.1::double, [1, 2], null), (2, null, 2, null, date '2020-02-29')) as t"


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    opened.execute(f"create table kept as select * from {ROWS} (id, name, share, ids, day)")
    return opened


def changed(connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Whether a statement on a copy of the table changes its logical hash."""
    connection.execute("create or replace table copied as select * from kept")
    before = held(connection, "copied")
    connection.execute(statement)
    return held(connection, "copied") != before


def held(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, str]:
    found = content(connection, table, columns(connection, table))
    return found.rows, found.logical_sha256


@pytest.mark.parametrize(
    "statement",
    [
        "update copied set name = 'b' where id = 1",
        "update copied set name = '' where id = 2",
        "update copied set name = 'null' where id = 2",
        "update copied set share = share + 1e-16 where id = 1",
        "update copied set ids = [2, 1] where id = 1",
        "update copied set day = null",
        "insert into copied select * from copied where id = 1",
        "delete from copied where id = 1",
        "alter table copied rename name to other",
        "create or replace table copied as select name, id, share, ids, day from copied",
        # The sum of both rows stays, the rows do not.
        "update copied set id = 3 - id",
    ],
)
def test_any_change_of_content_changes_the_logical_hash(
    connection: duckdb.DuckDBPyConnection, statement: str
) -> None:
    assert changed(connection, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "create or replace table copied as select * from copied order by id desc",
        "alter table copied add column run_id varchar default 'this run'",
        "alter table copied add column checked_at varchar default 'this morning'",
    ],
)
def test_order_and_the_run_itself_do_not(
    connection: duckdb.DuckDBPyConnection, statement: str
) -> None:
    assert not changed(connection, statement)


def test_the_hash_is_what_the_documentation_says(connection: duckdb.DuckDBPyConnection) -> None:
    lines = ['[1,"a",0.1,[1,2],null]', '[2,null,2.0,null,"2020-02-29"]']
    hashes = [int(hashlib.md5(line.encode()).hexdigest(), 16) for line in lines]
    # DuckDB reads the digest's bytes least significant first.
    numbers = [int.from_bytes(number.to_bytes(16, "big"), "little") for number in hashes]
    low = sum(number & LOW_HALF for number in numbers)
    high = sum(number >> 64 for number in numbers)
    told = '"id", "name", "share", "ids", "day"'
    expected = hashlib.sha256(f"{told}\n2 {low} {high}".encode()).hexdigest()
    assert held(connection, "kept") == (2, expected)


def test_what_tables_hold_adds_up(connection: duckdb.DuckDBPyConnection) -> None:
    names = columns(connection, "kept")
    whole, one, other = (
        content(connection, f"(from kept where {which})", names)
        for which in ("true", "id = 1", "id = 2")
    )
    assert one + other == whole
    assert whole - other == one


def test_code_and_configuration_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RWE_KEY_FILE", str(tmp_path / "pseudonym.key"))
    require_key(None)
    assert set(manifest.configuration(manifest.PROJECT / "extracts")["rules"]) == set(
        manifest.CONFIGURATION
    )
    found = manifest.code()
    assert len(found["tree_sha256"]) == len(found["lock_sha256"]) == 64


def test_what_a_run_compiles_is_not_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hash_with(name: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        return str(manifest.code()["tree_sha256"])

    for name in (*manifest.CODE_FILES, manifest.LOCK):
        shutil.copy(manifest.PROJECT / name, tmp_path)
    monkeypatch.setattr(manifest, "PROJECT", tmp_path)
    before = hash_with("analysis/kernel.py")
    assert hash_with("analysis/__pycache__/kernel.solved-1.py311.nbi") == before
    assert hash_with("analysis/README.md") == before
    assert hash_with("analysis/other.py") != before


def test_the_manifest_tells_on_what_two_programmes_differ(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert manifest._second_programming(connection) == {"compared": 0, "differ": []}
    connection.execute("create schema results")
    connection.execute(
        "create table results.second_programming as select 'a study' as study_id, "
        "unnest(['fig1', 'fig2']) as exhibit, 'curves' as what, unnest([false, true]) as agrees"
    )
    differing = {"study_id": "a study", "exhibit": "fig1", "what": "curves"}
    assert manifest._second_programming(connection) == {"compared": 2, "differ": [differing]}
