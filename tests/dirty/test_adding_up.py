"""Counts over some patients and over all others add up to those over all, check by check.

A delivery of changes rests on it: only its patients are counted anew.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from expectations.checks import CheckResult, Key
from expectations.recount import by_patient
from expectations.run import all_checks, run
from pipeline import increment
from tests.dirty.conftest import Dirty

AT_LEAST = 300
"""So many checks count something of each half of the patients."""


def halves(connection: duckdb.DuckDBPyConnection, folder: Path) -> tuple[Path, Path]:
    """Every second patient as `increment` sets them aside, and what is left without them."""
    patients, some, others = (
        folder / name for name in ("patients.parquet", "some.duckdb", "others.duckdb")
    )
    connection.execute(
        "copy (select patient_key from staging.stg_common__patients "
        f"where hash(patient_key) % 2 = 0) to '{patients}'"
    )
    increment.set_aside(connection, patients, some)
    connection.execute(f"attach '{others}' as others")
    connection.execute(f"attach '{some}' as half (read_only)")
    listed = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'half'"
    ).fetchall()
    for schema, name in listed:
        rows = connection.execute(f"describe {schema}.{name}").fetchall()
        columns = {row[0] for row in rows}
        where = "true"
        if "patient_key" in columns:
            where = f"patient_key is null or patient_key not in (from '{patients}')"
        elif name == "quarantine":
            where = "src_rid not in (select src_rid from half.quality.quarantine)"
        connection.execute(f"create schema if not exists others.{schema}")
        connection.execute(
            f"create table others.{schema}.{name} as from {schema}.{name} where {where}"
        )
    connection.execute("detach others")
    connection.execute("detach half")
    return some, others


def counts(results: list[CheckResult]) -> dict[Key, tuple[int, int]]:
    return {
        result.key: (result.n_violating, result.n_checked)
        for result in results
        if result.n_violating is not None and result.n_checked is not None
    }


@pytest.mark.parametrize("which", ["tolerable", "blocking"])
def test_the_counts_of_patients_add_up(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    dirty: Dirty = request.getfixturevalue(which)
    with duckdb.connect(str(dirty.run.work / "warehouse.duckdb")) as connection:
        some, others = halves(connection, tmp_path)
        whole = counts(run(connection, checks=by_patient()))
    parts = [counts(run(half, checks=by_patient())) for half in (some, others)]
    compared = whole.keys() & parts[0].keys() & parts[1].keys()
    added = {
        key: tuple(one + other for one, other in zip(parts[0][key], parts[1][key], strict=True))
        for key in compared
    }
    assert added == {key: whole[key] for key in compared}
    assert len([key for key in compared if parts[0][key][1] and parts[1][key][1]]) > AT_LEAST
    assert any(parts[0][key][0] and parts[1][key][0] for key in compared)


def test_some_checks_compare_patients() -> None:
    ids = {check.check_id for check in all_checks()} - {check.check_id for check in by_patient()}
    # The same person twice; a specimen, a key and a reference of another patient's.
    assert {"PAT-002", "PTH-002", "STR-003", "STR-004"} <= ids
