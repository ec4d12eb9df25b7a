"""Each promise of the extract contract is checked, and each of these checks can be tripped."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import clean_case
import pytest
from clean_case import Spoil

from expectations.catalogue import read_kinds, read_written
from expectations.checks import Check, CheckResult
from expectations.run import run
from expectations.structure import staged, structural_checks
from pipeline.contract import Column, Table, read_contract

CONTRACT = read_contract()
CHECKS = structural_checks(CONTRACT)
ID = {name: kind.entry["id"] for name, kind in read_kinds().items()}
OWN_IDS = {name: kind.entry.get("ids", {}) for name, kind in read_kinds().items()}


def of_kind(kind: str, table: str | None = None, column: str | None = None) -> list[Check]:
    return [
        check
        for check in CHECKS
        if check.check_id in (ID[kind], *OWN_IDS[kind].values())
        and (table is None or check.table in (staged(table), f"raw.{table}"))
        and (column is None or column in check.columns)
    ]


def outcome(warehouse: Path, kind: str, table: str, column: str | None = None) -> CheckResult:
    (check,) = of_kind(kind, table, column)
    (result,) = run(warehouse, checks=[check])
    return result


def test_the_clean_case_passes_every_check(clean_warehouse: Path) -> None:
    results = run(clean_warehouse, checks=CHECKS)
    assert [r for r in results if r.status != "pass"] == []
    assert all(r.n_violating == 0 and r.n_checked for r in results)


def test_there_is_a_check_for_every_promise() -> None:
    columns = {f"{t.name}.{c.name}": c for t in CONTRACT.tables.values() for c in t.columns}
    numbers = [c for c in columns.values() if c.kind in ("number", "integer")]
    named = {
        kind: sum(name in columns for name in ids if _is_of(kind, columns[name]))
        for kind, ids in OWN_IDS.items()
    }
    found = Counter(check.check_id for check in CHECKS)
    assert found[ID["required"]] == sum(c.required for c in columns.values())
    codes = sum(c.codes is not None for c in columns.values())
    assert found[ID["codes"]] == codes - named["codes"]
    assert found[ID["range"]] == len(numbers) - named["range"]
    assert found[ID["reference"]] == sum(c.refers_to is not None for c in columns.values())
    assert found[ID["partial_date"]] == sum(c.kind == "partial_date" for c in columns.values())
    assert found[ID["row_key"]] == sum(c.role == "row_key" for c in columns.values())
    assert found[ID["delivered"]] == sum(t.required for t in CONTRACT.tables.values())
    assert found[ID["accounted"]] == found[ID["quarantined"]] == len(CONTRACT.tables)


def test_texts_name_columns_that_the_site_knows() -> None:
    """It has no death_date_earliest to correct."""
    for check in CHECKS:
        for text in (check.name, check.advice):
            assert not re.search("_(earliest|latest|precision)", text), check.check_id


def test_every_number_of_its_own_belongs_to_a_column_of_the_contract() -> None:
    made = {
        (check.check_id, f"{re.split('__|[.]', check.table)[-1]}.{column}")
        for check in CHECKS
        for column in check.columns
    }
    for ids in OWN_IDS.values():
        assert {(own, column) for column, own in ids.items()} <= made


def _is_of(kind: str, column: Column) -> bool:
    return (column.codes is not None) == (kind == "codes")


def spoiled_statements(table: Table) -> list[str]:
    """Return statements that break every promise of a table: an empty row and a wrong one."""
    name = staged(table.name)
    wrong = ["src_rid = null"]
    for column in table.columns:
        if column.role == "patient":
            wrong.append("patient_key = 'nobody'")
        elif column.kind == "partial_date":
            wrong += [
                f"{column.name}_earliest = date '2999-05-02'",
                f"{column.name}_latest = date '2999-05-31'",
                f"{column.name}_precision = 'month'",
            ]
        elif column.role == "available_time":
            wrong.append(f"{column.name} = date '2998-01-01'")
        elif column.kind == "date":
            wrong.append(f"{column.name} = date '2999-01-01'")
        elif column.refers_to:
            wrong.append(f"{column.name} = 'nowhere'")
    row = f"select * from {name} limit 1"
    return [
        f"insert into {name} (src_rid) values (null)",
        f"create or replace temp table wrong as {row}",
        f"update wrong set {', '.join(wrong)}",
        f"insert into {name} from wrong",
        f"insert into {name} from wrong",
        *quarantined_statements(table),
    ]


def quarantined_statements(table: Table) -> list[str]:
    """Return statements that deliver a row of which nothing can be read."""
    raw = f"raw.{table.name}"
    reasons = [
        f"('{table.name}', -1, '{name}', '{fault}')"
        for column in table.columns
        for name in ("patient_id" if column.role == "patient" else column.name,)
        for fault in ("missing", "not a code of the contract")
    ]
    values = [f"'x' as {column.name}" for column in table.columns if column.role != "patient"]
    return [
        "update quality.source_files set n_records = n_records + 1, n_before = 9 "
        f"where table_name = '{table.name}'",
        f"insert into {raw} by name select -1 as src_rid, 'x' as load_fault, {', '.join(values)}",
        "insert into quality.quarantine (table_name, src_rid, column_name, reason) "
        f"values {', '.join(reasons)}",
    ]


def test_every_check_can_be_tripped(spoil: Spoil) -> None:
    """A check that nothing can trip checks nothing."""
    statements = [
        s for t in CONTRACT.tables.values() if t.name != "delivery" for s in spoiled_statements(t)
    ]
    delivery = [
        "insert into staging.stg_common__delivery (extract_date) values (date '2021-02-01')",
        "insert into staging.stg_common__delivery by name "
        "select delivery_id, 'no code' as synthetic, 'no code' as covers "
        "from staging.stg_common__delivery",
        "insert into staging.stg_common__delivery (delivery_id) values (null)",
        *quarantined_statements(CONTRACT.tables["delivery"]),
    ]
    warehouse = spoil(*statements, *delivery)
    written = {kind.entry["id"] for kind in read_written()}  # tests/expectations/test_written.py
    tested = [c for c in CHECKS if c.check_id not in written | {ID["delivered"]}]
    results = run(warehouse, checks=tested)
    assert [(r.check_id, r.table_name, r.column_name) for r in results if r.status != "fail"] == []


@pytest.mark.parametrize("table", [t.name for t in CONTRACT.tables.values() if t.required])
def test_a_required_table_without_rows_blocks(spoil: Spoil, table: str) -> None:
    result = outcome(spoil(f"delete from {staged(table)}"), "delivered", table)
    assert (result.status, result.blocks, result.n_violating) == ("fail", True, 1)


def test_a_required_table_that_is_not_there_blocks(spoil: Spoil) -> None:
    result = outcome(spoil("drop table staging.stg_common__patients"), "delivered", "patients")
    assert (result.status, result.blocks) == ("fail", True)


def test_counts_are_those_of_the_rows(spoil: Spoil) -> None:
    patients = staged("patients")
    warehouse = spoil(
        f"insert into {patients} from {patients}",
        "insert into raw.patients by name select patients.* replace (number as src_rid, "
        "case number when 1 then null else 'm?' end as sex) "
        "from raw.patients cross join range(4) as numbers (number)",
        "insert into quality.quarantine (table_name, src_rid, column_name, reason) values "
        "('patients', 1, 'sex', 'missing'), ('patients', 2, 'sex', 'not a code of the contract'), "
        "('patients', 3, 'sex', 'not a code of the contract'), "
        "('patients', 3, 'birth_date', 'missing'), ('consent', 0, 'sex', 'missing')",
    )
    codes = outcome(warehouse, "codes", "patients", "sex")
    assert (codes.n_violating, codes.n_checked) == (2, 4)
    required = outcome(warehouse, "required", "patients", "sex")
    assert (required.n_violating, required.n_checked) == (1, 5)
    unique = outcome(warehouse, "patient_key", "patients")
    assert (unique.n_violating, unique.n_checked) == (2, 2)


@pytest.mark.parametrize(
    ("earliest", "latest", "precision", "status"),
    [
        ("2020-02-03", "2020-02-03", "day", "pass"),
        ("2020-02-01", "2020-02-29", "month", "pass"),
        ("2020-01-01", "2020-12-31", "year", "pass"),
        ("2020-02-03", "2020-02-04", "day", "fail"),
        ("2020-02-15", "2020-02-15", "month", "fail"),
        ("2020-07-01", "2020-07-01", "year", "fail"),
        ("2020-02-03", "2020-02-03", None, "fail"),
        (None, None, "month", "fail"),
        (None, None, None, "not_applicable"),
    ],
)
def test_a_partial_date_means_every_day_of_it(
    spoil: Spoil, earliest: str | None, latest: str | None, precision: str | None, status: str
) -> None:
    values = {"earliest": earliest, "latest": latest, "precision": precision}
    assignments = ", ".join(
        f"birth_date_{part} = " + (f"'{value}'" if value else "null")
        for part, value in values.items()
    )
    warehouse = spoil(f"update staging.stg_common__patients set {assignments}")
    assert outcome(warehouse, "partial_date", "patients").status == status


def test_without_an_extract_date_no_date_can_be_said_to_be_before_it(spoil: Spoil) -> None:
    warehouse = spoil("delete from staging.stg_common__delivery")
    result = outcome(warehouse, "not_after_extract", "consent", "consent_date")
    assert result.status == "not_applicable"


def test_a_lost_row_is_missed(spoil: Spoil) -> None:
    lost = "update quality.source_files set n_staged = 0 where table_name = 'consent'"
    result = outcome(spoil(lost), "accounted", "consent")
    assert (result.status, result.blocks, result.n_checked) == ("fail", True, 1)
    for fate in ("n_quarantined", "n_collapsed", "n_superseded", "n_erased"):
        found = f"update quality.source_files set {fate} = 1 where table_name = 'consent'"
        assert outcome(spoil(lost, found), "accounted", "consent").status == "pass"


@pytest.mark.parametrize(
    ("n_before", "status", "blocks"),
    [(100, "pass", False), (105, "pass", False), (106, "fail", False), (126, "fail", True)],
)
def test_a_file_may_lose_a_few_records(
    spoil: Spoil, n_before: int, status: str, blocks: bool
) -> None:
    warehouse = spoil(f"update quality.source_files set n_records = 100, n_before = {n_before}")
    result = outcome(warehouse, "volume", "consent")
    assert (result.status, result.blocks) == (status, blocks)


def test_a_delivery_of_changes_is_not_shorter_for_it(spoil: Spoil) -> None:
    warehouse = spoil(
        "update quality.source_files set n_before = 1000",
        "update staging.stg_common__delivery set covers = 'changes'",
    )
    assert outcome(warehouse, "volume", "consent").status == "not_applicable"


def test_columns_of_the_case_are_those_of_the_contract() -> None:
    """Staging may not be checked against columns that only the tests have."""
    columns = {name: set(found) for name, found in clean_case.tables().items()}
    for table in CONTRACT.tables.values():
        columns[f"raw.{table.name}"] |= {column.name for column in table.columns}
    for check in CHECKS:
        for column in check.columns:
            assert column in columns[check.table], f"{check.check_id} {check.table}.{column}"
