"""What was put right between two deliveries is what the difference names, and nothing else."""

from __future__ import annotations

import json

import duckdb
import pytest

from pipeline import diff, manifest
from pipeline.contract import read_contract
from pipeline.diff import Change, Difference
from tests.two_runs import LATER_BY, Runs


@pytest.fixture
def found(runs: Runs) -> Difference:
    return diff.compare(runs.layout, runs.first, runs.second)


def test_the_files_that_changed_are_named(found: Difference) -> None:
    # Every file came in another order of rows.
    assert {change.what for change in found.data} == set(read_contract().tables)
    assert found.code == found.configuration == found.environment == []
    assert found.cause.startswith("Only the data changed")


def test_the_rows_that_changed_are_named(found: Difference) -> None:
    assert found.rows is not None
    changed = {
        one.table: (len(one.added), len(one.corrected), len(one.withdrawn)) for one in found.rows
    }
    assert changed == {
        "vital_status": (0, 1, 0),
        "adverse_events": (0, 0, 1),
        "performance_status": (1, 0, 0),
    }


def test_the_patient_who_died_later_moved_by_as_much(runs: Runs, found: Difference) -> None:
    (survival,) = [moved for moved in found.moved if moved.what == "OS"]
    assert survival.patient_key == runs.corrected
    before, after = (int(str(said).split()[0]) for said in (survival.before, survival.after))
    assert after - before == LATER_BY.days


def test_the_numbers_that_moved_are_those_of_the_warehouses(runs: Runs, found: Difference) -> None:
    old, new = (
        {n["id"]: n["display"] for n in manifest.read(runs.layout.published / run)["numbers"]}
        for run in (runs.first, runs.second)
    )
    printed = {
        change.what: (change.before, change.after)
        for change in found.numbers
        if change.before != change.after
    }
    assert printed == {
        name: (old.get(name), new.get(name))
        for name in {*old, *new}
        if old.get(name) != new.get(name)
    }
    assert printed


def test_a_run_does_not_differ_from_itself(runs: Runs) -> None:
    same = diff.compare(runs.layout, runs.second, runs.second)
    assert same.cause == "Nothing changed: data, code and configuration are the same."
    assert not (same.moved or same.numbers or same.rows or same.relations)


def with_other(runs: Runs, part: str, name: str) -> Difference:
    """The runs compared as if the first had had other code or configuration."""
    path = runs.layout.published / runs.first / manifest.MANIFEST
    told = json.loads(path.read_text())
    told[part][name] = "0" * 64 if part == "code" else {"a_rule.csv": "0" * 64}
    path.write_text(json.dumps(told))
    return diff.compare(runs.layout, runs.first, runs.second)


def test_two_causes_are_not_called_one(runs: Runs) -> None:
    assert with_other(runs, "code", "tree_sha256").cause.startswith(
        "Data and code changed together"
    )
    found = with_other(runs, "config", "seeds")
    assert Change("a_rule.csv", "0" * 64, None) in found.configuration
    assert found.cause.startswith("Data, code and configuration changed together")


def test_the_command_prints_it(runs: Runs) -> None:
    _, said = runs.command("diff", runs.first[:20], "--json")
    assert json.loads(said)["cause"].startswith("Only the data changed")
    _, table = runs.command("diff", runs.first)
    assert "vital_status" in table


RIDS = ("src_rids", "assessment_src_rid")


def test_flt30_who_was_not_put_right_is_the_same_in_another_order_of_rows(
    pair: Runs, found: Difference
) -> None:
    assert found.rows is not None
    rids = [
        rid for one in found.rows for rid in (*one.added, *one.withdrawn, *sum(one.corrected, ()))
    ]
    with duckdb.connect() as connection:
        for name, run_id in (("before", pair.first), ("after", pair.second)):
            path = pair.layout.published / run_id / "warehouse.duckdb"
            connection.execute(f"attach '{path}' as {name} (read_only)")
        tables = connection.execute(
            "select schema_name || '.' || table_name, string_agg(column_name, ', ') "
            "from duckdb_columns() where database_name = 'after' "
            "and list_contains(['cohort', 'treatment', 'survival', 'safety'], schema_name) "
            "and not list_contains(?, column_name) "
            "group by all having list_contains(list(column_name), 'patient_key')",
            [list(RIDS)],
        ).fetchall()
        assert len(tables) > 15
        raw = ", ".join(
            f"'{path}'"
            for path in pair.layout.work.glob("deliveries/*/raw/*.parquet")
            if path.stem not in ("files", "delivery")
        )
        connection.execute(
            "create table put_right as select distinct patient_key from "
            f"read_parquet([{raw}], union_by_name = true) where list_contains(?, src_rid)",
            [rids],
        )
        for table, columns in tables:
            sides = [
                f"(select {columns} from {run}.{table} "
                "where patient_key not in (select patient_key from put_right))"
                for run in ("before", "after")
            ]
            for one, other in (sides, sides[::-1]):
                assert connection.execute(f"{one} except all {other} limit 3").fetchall() == [], (
                    table
                )
