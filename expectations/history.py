"""Stores the results of the checks: in the warehouse of the run, and in a store that outlives it.

quality.expectation_results holds the results of the run and those of the runs before it, so that
an auditor sees trends by site. The warehouse is built anew each time; the private store of the work
folder keeps them in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from expectations.checks import CheckResult
from expectations.tables import exist, rows
from pipeline import audit

RESULTS_TABLE = "quality.expectation_results"
STORE_TABLE = "check_results"
RUNS_KEPT = 30
"""How many runs before this one a warehouse shows; the store keeps all."""

COLUMNS = {
    "run_id": "varchar not null",
    "checked_at": "varchar not null",
    "site_code": "varchar",
    "check_id": "varchar not null",
    "table_name": "varchar not null",
    "column_name": "varchar not null",
    "name": "varchar not null",
    "kahn_category": "varchar not null",
    "kahn_subcategory": "varchar",
    "kahn_context": "varchar not null",
    "severity": "varchar not null",
    "status": "varchar not null",
    "n_violating": "bigint",
    "n_checked": "bigint",
    "denominator": "varchar not null",
    "warn_above": "double not null",
    "block_above": "double",
    "blocks": "boolean not null",
    "rationale": "varchar not null",
    "advice": "varchar not null",
    "detail": "varchar",
}
"""Columns of the results table and their types; models/marts/results.yml says what they mean."""

_DEFINITIONS = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
_NAMES = ", ".join(COLUMNS)
_ARROW = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}
_SCHEMA = pa.schema({name: _ARROW[kind.split()[0]] for name, kind in COLUMNS.items()})


def write(
    target: duckdb.DuckDBPyConnection | Path,
    results: Iterable[CheckResult],
    run_id: str,
    *,
    work: Path | None = None,
) -> None:
    """Store results of a run in quality.expectation_results, in place of any that it already has.

    `target` is a writable connection, or the path of the warehouse. With `work`, the results are
    entered in that folder's store too, and the table gets those of earlier runs from there.
    """
    if isinstance(target, Path):
        with duckdb.connect(str(target)) as connection:
            return write(connection, results, run_id, work=work)
    own = _as_table(target, list(results), run_id)
    target.execute("create schema if not exists quality")
    if not exist(target, RESULTS_TABLE):
        target.execute(f"create table {RESULTS_TABLE} ({_DEFINITIONS})")
        if work:
            _insert(target, RESULTS_TABLE, earlier_runs(work, run_id))
    _replace(target, RESULTS_TABLE, own)
    if work:
        with audit.store(work) as store:
            store.execute(f"create table if not exists {STORE_TABLE} ({_DEFINITIONS})")
            _replace(store, STORE_TABLE, own)
    return None


def failed(connection: duckdb.DuckDBPyConnection, run_id: str) -> list[str]:
    """Return in words which checks of a run failed or could not be evaluated."""
    found = rows(
        connection,
        f"select * from {RESULTS_TABLE} where run_id = ? and status in ('fail', 'error') "
        "order by rowid",
        run_id,
    )
    return [in_words(**row) for row in found]


def in_words(
    *,
    check_id: str,
    table_name: str,
    name: str,
    n_violating: int | None,
    n_checked: int | None,
    denominator: str,
    detail: str | None,
    **_: object,
) -> str:
    """Say in one line what came of a check."""
    broken = f"not so for {n_violating} of {n_checked} {denominator}"
    return f"{check_id} {table_name}: {name} ({detail if n_checked is None else broken})"


def results_of(work: Path, run_id: str | None) -> list[dict[str, Any]]:
    """Return the results of a run in the store, in the order of its checks; the latest without one.

    A run may be named by the beginning of its id. There are none if the store has no such run.
    """
    if not (work / audit.STORE).exists():
        return []
    with audit.store(work, read_only=True) as store:
        if not exist(store, f"main.{STORE_TABLE}"):
            return []
        return rows(
            store,
            f"select * from {STORE_TABLE} where run_id = ("
            f"select max_by(run_id, (checked_at, run_id)) from {STORE_TABLE} "
            "where starts_with(run_id, ?)) order by rowid",
            run_id or "",
        )


def earlier_runs(work: Path, run_id: str) -> pa.Table:
    """Return the results of the latest runs in the store but this one, oldest first."""
    if not (work / audit.STORE).exists():
        return _SCHEMA.empty_table()
    with audit.store(work, read_only=True) as store:
        if not exist(store, f"main.{STORE_TABLE}"):
            return _SCHEMA.empty_table()
        return store.execute(
            f"select {_NAMES} from {STORE_TABLE} where run_id in ("
            f"select run_id from {STORE_TABLE} where run_id <> ? group by run_id "
            f"order by max(checked_at) desc limit {RUNS_KEPT}) order by checked_at, rowid",
            [run_id],
        ).to_arrow_table()


def _as_table(
    connection: duckdb.DuckDBPyConnection, results: list[CheckResult], run_id: str
) -> pa.Table:
    about = {
        "run_id": run_id,
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "site_code": _site(connection),
    }
    return pa.Table.from_pylist([{**about, **asdict(result)} for result in results], _SCHEMA)


def _site(connection: duckdb.DuckDBPyConnection) -> str | None:
    if not exist(connection, "staging.stg_common__delivery"):
        return None
    row = connection.execute(
        "select string_agg(distinct site_code, ', ' order by site_code) "
        "from staging.stg_common__delivery"
    ).fetchone()
    return row[0] if row else None


def _replace(connection: duckdb.DuckDBPyConnection, table: str, own: pa.Table) -> None:
    connection.register("own_results", own)
    connection.execute("begin")
    try:
        connection.execute(
            f"delete from {table} where (run_id, check_id, table_name, column_name) in "
            "(select (run_id, check_id, table_name, column_name) from own_results)"
        )
        connection.execute(f"insert into {table} ({_NAMES}) select {_NAMES} from own_results")
        connection.execute("commit")
    except duckdb.Error:
        connection.execute("rollback")
        raise
    finally:
        connection.unregister("own_results")


def _insert(connection: duckdb.DuckDBPyConnection, table: str, found: pa.Table) -> None:
    connection.register("found_results", found)
    connection.execute(f"insert into {table} ({_NAMES}) select {_NAMES} from found_results")
    connection.unregister("found_results")
