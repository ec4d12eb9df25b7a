"""The five statuses as the runner gives them, what it stores, and what it never lets out."""

from __future__ import annotations

import logging
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import duckdb
import pytest
from clean_case import Spoil

from expectations import engine, gate, suites
from expectations.checks import BuiltIn, Check, Condition
from expectations.history import RESULTS_TABLE, results_of, write
from expectations.recount import by_patient, recounted
from expectations.run import all_checks, blocking_failures, run
from expectations.structure import UNIQUE

CHECKS = all_checks()
CANARY = "Canary-7391"

PATIENTS = "staging.stg_common__patients"


def example(rule: BuiltIn | Condition, table: str = PATIENTS) -> Check:
    return replace(
        CHECKS[0], check_id="TST-001", table=table, columns=(), rule=rule, expects_table=False
    )


def test_on_tables_without_rows_nothing_passes(empty_warehouse: Path) -> None:
    results = run(empty_warehouse)
    assert {r.status for r in results} == {"fail", "not_applicable"}
    assert {r.check_id for r in results if r.status == "fail"} == {"FIL-009"}
    assert {r.n_checked for r in results if r.status == "not_applicable"} == {0}


def test_on_a_warehouse_without_tables_nothing_passes(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    results = run(path)
    assert {r.status for r in results} == {"fail", "not_applicable"}
    assert {r.check_id for r in blocking_failures(results)} == {"FIL-009"}
    missing = next(r for r in results if r.check_id == "MRT-010")
    assert missing.detail == "not in the warehouse: cohort.cohort, reference.studies"
    assert missing.n_checked is None


def test_the_warehouse_is_only_read(spoil: Spoil) -> None:
    warehouse = spoil()
    before = warehouse.read_bytes()
    run(warehouse, checks=CHECKS[:5])
    assert warehouse.read_bytes() == before
    assert [path.name for path in warehouse.parent.iterdir()] == [warehouse.name]


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="build it first"):
        run(tmp_path / "warehouse.duckdb")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Condition("no_such_column = 1"), 'Binder Error: Referenced column "no_such_column"'),
        (Condition("sex = 'male'", applies_to="nonsense is null"), "Binder Error"),
        (Condition("selec sex frm"), "Parser Error"),
        (Condition("true", rows="select nothing from nowhere"), "Catalog Error"),
        (Condition("no_such_function(sex)"), "Catalog Error"),
        (
            BuiltIn(UNIQUE, {"column": "gone"}),
            '"gone" in the table does not exist',
        ),
    ],
)
def test_a_broken_check_is_an_error_of_its_own(
    clean_warehouse: Path, rule: BuiltIn | Condition, said: str
) -> None:
    sound = example(Condition("sex is null"))
    before, broken, after = run(clean_warehouse, checks=[sound, example(rule), sound])
    assert (broken.status, broken.blocks) == ("error", True)
    assert said in str(broken.detail)
    assert (before.status, after.status) == ("pass", "pass")


def test_an_error_that_quotes_a_value_is_withheld(spoil: Spoil) -> None:
    warehouse = spoil(f"update {PATIENTS} set patient_key = '{CANARY}'")
    (result,) = run(warehouse, checks=[example(Condition("cast(patient_key as int) > 0"))])
    assert result.status == "error"
    assert result.detail == "Conversion Error; its text is withheld, it may quote a value"


def test_braces_in_a_condition_are_braces(clean_warehouse: Path) -> None:
    (result,) = run(
        clean_warehouse, checks=[example(Condition("regexp_matches(sex, '^[a-z]{2,6}$')"))]
    )
    assert (result.status, result.n_violating) == ("fail", 1)


def test_layers_that_were_not_asked_for_are_not_run(clean_warehouse: Path) -> None:
    results = run(clean_warehouse, layers=["marts"], checks=CHECKS[:40] + CHECKS[-3:])
    assert {r.status for r in results} == {"not_run", "pass"}
    assert not blocking_failures(results)
    for check, result in zip(CHECKS[:40] + CHECKS[-3:], results, strict=True):
        assert (result.status == "not_run") == (check.layer == "staging")


def test_when_the_database_stops_answering_the_rest_is_not_run_and_blocks(
    clean_warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.Warehouse, "is_alive", lambda self: False)
    broken = example(Condition("no_such_column = 1"))
    unreached = example(Condition("true"), "staging.stg_common__consent")
    warning = replace(unreached, severity="warning")
    results = run(clean_warehouse, checks=[broken, unreached, warning])
    assert [r.status for r in results] == ["error", "not_run", "not_run"]
    assert [r.blocks for r in results] == [True, True, False]


@pytest.fixture
def gates(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """The clean warehouse as the gates of a run find it."""
    monkeypatch.setenv("RWE_RUN_ID", "run")
    with duckdb.connect(str(spoil())) as connection:
        yield connection


def test_a_gate_refuses_what_blocks_and_keeps_it_and_forgets_what_it_was_told(
    gates: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    check = next(one for one in CHECKS if one.severity == "blocking" and one.layer == "staging")
    with pytest.raises(gate.GateError) as refused, gate.knowing({check.key: (3, 4)}):
        gate.check(gates, "staging", tmp_path)
    assert f"{check.name} (not so for 3 of 4 {check.denominator})" in str(refused.value)
    assert check.advice in str(refused.value)
    kept = f"select check_id, n_violating, n_checked from {RESULTS_TABLE} where blocks"
    assert gates.execute(kept).fetchall() == [(check.check_id, 3, 4)]
    gate.check(gates, "staging", tmp_path)
    assert gates.execute(kept).fetchall() == []


def test_the_checks_of_the_second_gate_are_not_run_until_then(
    gates: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    of_layer = {"staging": 0, "marts": 0}
    for check in CHECKS:
        of_layer[check.layer] += 1
    for layer, waiting in (("staging", of_layer["marts"]), ("marts", 0)):
        told = gate.check(gates, layer, tmp_path).to_pylist()
        assert sum(row["n_checks"] for row in told) == of_layer[layer]
        stored = f"select count(*), count(*) filter (status = 'not_run') from {RESULTS_TABLE}"
        assert gates.execute(stored).fetchall() == [(len(CHECKS), waiting)]
        assert len(results_of(tmp_path, "run")) == len(CHECKS)


def test_a_gate_does_not_let_pass_what_it_could_not_check(
    gates: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.Warehouse, "is_alive", lambda self: False)
    broken = replace(example(Condition("no_such_column = 1")), severity="warning")
    unreached = replace(example(Condition("true"), "staging.stg_common__consent"), check_id="TST-2")
    monkeypatch.setattr("expectations.run.all_checks", lambda: (broken, unreached))
    with pytest.raises(gate.GateError, match=r"TST-2 .*the database stopped answering"):
        gate.check(gates, "staging", tmp_path)


def test_both_gates_of_dbt_alone_are_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n) for n in count())
    monkeypatch.setattr(gate, "datetime", SimpleNamespace(now=lambda _: next(moments)))
    monkeypatch.setattr(gate, "get_invocation_id", lambda: "abcdef")
    monkeypatch.setenv("RWE_RUN_ID", "")
    assert gate.run_id() == gate.run_id() == "20260101T000000Z-abcd"


def test_of_replaced_patients_the_counts_are_replaced(
    gates: duckdb.DuckDBPyConnection, clean_warehouse: Path, empty_warehouse: Path, tmp_path: Path
) -> None:
    """Where a table is missing before or after, every patient is to be looked at."""
    without_sex = f"update {PATIENTS} set sex = null"
    gates.execute(without_sex)
    results = run(gates)
    write(gates, results, "run")
    write(gates, [replace(result, n_violating=7, n_checked=9) for result in results], "another")
    missing = {empty_warehouse: "cohort.cohort", clean_warehouse: "survival.survival_intervals"}
    before, after = (tmp_path / name for name in ("before.duckdb", "after.duckdb"))
    for path, (whole, table) in zip((before, after), missing.items(), strict=True):
        shutil.copyfile(whole, path)
        with duckdb.connect(str(path)) as connection:
            connection.execute(without_sex)
            connection.execute(f"drop table {table}")
    alone = {check.key for check in by_patient() if not check.tables & {*missing.values()}}
    found = recounted(gates, "run", before, after)
    assert max(violating for violating, _ in found.values()) == 2
    assert found == {
        result.key: (2 * result.n_violating, 2 * result.n_checked)
        for result in results
        if result.key in alone and result.n_violating is not None and result.n_checked is not None
    }


def test_results_replace_those_of_the_same_check_and_run_only(
    clean_warehouse: Path, tmp_path: Path
) -> None:
    path = tmp_path / "warehouse.duckdb"
    shutil.copyfile(clean_warehouse, path)
    results = run(path, checks=CHECKS[:3])
    write(path, results, "run 1")
    with duckdb.connect(str(path)) as connection:
        write(connection, [replace(results[0], status="error")], "run 1")
        write(connection, [], "run 2")
        write(connection, results[:1], "run 3")
        stored = connection.execute(
            "select run_id, count(*), count(*) filter (where status = 'error'), "
            f"any_value(site_code) from {RESULTS_TABLE} group by run_id order by run_id"
        ).fetchall()
        assert stored == [("run 1", 3, 1, "site_code"), ("run 3", 1, 0, "site_code")]


def test_earlier_runs_come_back_from_the_store(clean_warehouse: Path, tmp_path: Path) -> None:
    results = run(clean_warehouse, checks=CHECKS[:3])
    work = tmp_path / "work"
    for number in range(1, 4):
        path = tmp_path / f"{number}.duckdb"
        shutil.copyfile(clean_warehouse, path)
        write(path, results[:2], f"run {number}", work=work)
        write(path, results[2:], f"run {number}", work=work)
        with duckdb.connect(str(path)) as connection:
            runs = f"select run_id, count(*) from {RESULTS_TABLE} group by run_id order by run_id"
            assert connection.execute(runs).fetchall() == [
                (f"run {earlier}", 3) for earlier in range(1, number + 1)
            ]
    assert (work / "audit.duckdb").stat().st_mode & 0o077 == 0


def test_great_expectations_itself_returns_counts_only(spoil: Spoil) -> None:
    warehouse = spoil(f"update {PATIENTS} set sex = '{CANARY}', patient_key = '{CANARY}'")
    mine = [check for check in CHECKS if check.table == PATIENTS and not check.expects_table]
    with engine.open_warehouse(warehouse) as opened:
        outcomes = suites._validate(opened, mine)
    assert {outcome.success for outcome in outcomes} == {True, False}
    assert CANARY not in str([outcome.to_json_dict() for outcome in outcomes])


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def spoil_every_text(connection: duckdb.DuckDBPyConnection) -> None:
    texts = connection.execute(
        "select table_schema || '.' || table_name, column_name from information_schema.columns "
        "where data_type = 'VARCHAR' and table_schema <> 'reference'"
    ).fetchall()
    for table, column in texts:
        connection.execute(f"update {table} set {column} = '{CANARY}'")


@pytest.mark.usefixtures("no_network")
def test_no_value_of_a_patient_leaves_the_database(
    spoil: Spoil,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    warehouse = spoil()
    with duckdb.connect(str(warehouse)) as connection:
        spoil_every_text(connection)
    home = tmp_path / "home"
    home.mkdir()
    for variable in ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    monkeypatch.chdir(home)
    broken = example(Condition("cast(patient_key as int) > 0"))
    # A logger with a level of its own pays no heed to that of its parent.
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    for log in (log for log in loggers if log.name.startswith("great_expectations")):
        monkeypatch.setattr(log, "level", logging.DEBUG)
        log.manager._clear_cache()  # type: ignore[attr-defined]
    with caplog.at_level(logging.DEBUG):
        results = run(warehouse, checks=[*CHECKS, broken])
    assert {"fail", "error"} <= {r.status for r in results}
    write(warehouse, results, "run")
    with duckdb.connect(str(warehouse)) as connection:
        stored = connection.execute(
            f"select * exclude (site_code) from {RESULTS_TABLE}"  # a site is no patient
        ).fetchall()
    said = capfd.readouterr()
    for text in (str(results), str(stored), caplog.text, said.out, said.err):
        assert CANARY not in text
    assert list(home.rglob("*")) == []
