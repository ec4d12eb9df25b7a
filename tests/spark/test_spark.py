"""Spark builds what DuckDB builds: every table row for row, every check, every number printed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from pipeline import spark
from pipeline.errors import CommandError, Exit
from tests.conftest import Run, make_run, rwe

needs_spark = pytest.mark.skipif(spark.missing() is not None, reason=f"Spark: {spark.missing()}")

OF_THE_RUN = {"quality.expectation_results": ["run_id", "checked_at"]}
"""Columns that no two runs have in common."""

GATES = "gates"
"""Schema of what dbt-duckdb's plugin hands to the gates: no models, and DuckDB's alone."""

RELATIVE_TOLERANCE = 1e-9
"""Of numbers that the analysis adds up in the order of the rows."""


@contextmanager
def both(one: Path, other: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        yield connection


def tables(
    connection: duckdb.DuckDBPyConnection, database: str
) -> dict[str, list[tuple[str, str]]]:
    """The columns and their types of every table, by its name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in connection.execute(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
        "where database_name = ? order by column_index",
        [database],
    ).fetchall():
        if not table.startswith(f"{GATES}.") and column not in OF_THE_RUN.get(table, []):
            found.setdefault(table, []).append((column, kind))
    return found


def differences(one: Path, other: Path) -> list[str]:
    """The tables that differ in their columns or in any row, the results of the analysis apart."""
    with both(one, other) as connection:
        ours, theirs = tables(connection, "one"), tables(connection, "other")
        found = [f"{table}: in one only" for table in sorted(ours.keys() ^ theirs.keys())]
        for table in sorted(ours.keys() & theirs.keys()):
            if table.startswith("results."):
                continue
            if ours[table] != theirs[table]:
                found.append(f"{table}: columns {ours[table]}, {theirs[table]}")
                continue
            columns = ", ".join(f'"{name}"' for name, _ in ours[table])
            for a, b in (("one", "other"), ("other", "one")):
                ((n,),) = connection.execute(
                    f"select count(*) from (select {columns} from {a}.{table} "
                    f"except all select {columns} from {b}.{table})"
                ).fetchall()
                if n:
                    found.append(f"{table}: {n} rows only in {a}")
    return found


def different_estimates(one: Path, other: Path) -> list[str]:
    """The estimates that differ in what the report prints, or in the number behind it."""
    with both(one, other) as connection:
        found = connection.execute(
            """
            select coalesce(one.estimate_id, other.estimate_id)
            from one.results.estimates as one
            full join other.results.estimates as other using (study_id, estimate_id)
            where
                one.display is distinct from other.display
                or one.n is distinct from other.n
                or one.events is distinct from other.events
                or (one.value is null) <> (other.value is null)
                or abs(one.value - other.value) > $1 * greatest(abs(one.value), 1)
            order by all
            """,
            [RELATIVE_TOLERANCE],
        ).fetchall()
    return [estimate_id for (estimate_id,) in found]


def on_spark(run: Run, folder: Path) -> Run:
    """Build the extract of a run again, on Spark."""
    again = Run(run.extract, folder / "work", folder / "published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RWE_TARGET", "spark")
        patch.delenv("RWE_SPARK_WAREHOUSE", raising=False)
        rwe(
            *("build", run.extract, "--work", again.work, "--published", again.published),
            key_file=run.work.parent / "pseudonym.key",
        )
    return again


def assert_equal(run: Run, again: Run) -> None:
    ours, theirs = run.work / "warehouse.duckdb", again.work / "warehouse.duckdb"
    assert differences(ours, theirs) == []
    assert different_estimates(ours, theirs) == []
    with again.open() as published:
        assert published.execute("select 1 from treatment.lines_of_therapy limit 1").fetchall()


@needs_spark
def test_spark_builds_the_demo_as_duckdb_does(demo: Run, tmp_path: Path) -> None:
    assert_equal(demo, on_spark(demo, tmp_path))


@needs_spark
def test_spark_builds_10000_patients_as_duckdb_does(tmp_path: Path) -> None:
    run = make_run(tmp_path / "duckdb", "--patients", 10_000, "--seed", 11)
    assert_equal(run, on_spark(run, tmp_path))


def test_the_checks_of_what_was_read_back_are_those_of_the_gates(
    demo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RWE_RUN_ID", "again")
    built, warehouse = demo.work / "warehouse.duckdb", tmp_path / "warehouse.duckdb"
    shutil.copyfile(built, warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("drop table quality.expectation_results")
        connection.execute("update staging.extract_gate set status = 'not_run'")
        spark.pass_gates(connection, tmp_path)
    assert differences(built, warehouse) == []


def test_a_blocking_check_stops_a_run_on_spark_too(
    demo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RWE_RUN_ID", "blocked")
    shutil.copyfile(demo.work / "warehouse.duckdb", tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("delete from staging.stg_common__patients")
        with pytest.raises(CommandError, match="stg_common__patients") as refused:
            spark.pass_gates(connection, tmp_path)
        assert refused.value.exit_code == Exit.DATA_QUALITY
        ((n,),) = connection.execute(
            "select count(*) from quality.expectation_results where run_id = 'blocked' and blocks"
        ).fetchall()
    assert n


def test_a_difference_is_found(tmp_path: Path) -> None:
    for name, rows in (("one", "(1, [1, 2]), (2, null)"), ("other", "(1, [1, 3]), (2, null)")):
        with duckdb.connect(str(tmp_path / name)) as connection:
            connection.execute("create schema cohort")
            connection.execute("create table cohort.cohort (id int, src_rids bigint[])")
            connection.execute(f"insert into cohort.cohort values {rows}")
    assert differences(tmp_path / "one", tmp_path / "other") == [
        "cohort.cohort: 1 rows only in one",
        "cohort.cohort: 1 rows only in other",
    ]
    assert differences(tmp_path / "one", tmp_path / "one") == []
