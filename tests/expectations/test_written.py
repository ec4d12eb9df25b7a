"""How values must be written: each pattern finds what it is for, in every table, and no more."""

from __future__ import annotations

from typing import Any

import duckdb
import jinja2
import pytest
from clean_case import Spoil

from expectations.catalogue import read_written
from expectations.checks import Check
from expectations.run import run
from expectations.structure import _class, _columns_by_class, _looked_at, structural_checks
from pipeline.contract import read_contract
from pipeline.paths import PROJECT

CONTRACT = read_contract()
KINDS = {kind.entry["id"]: kind for kind in read_written()}

FOUND = {
    "FIL-008": ["CT\x07", "a\x00b", "\ufeffR1", "\x9bK"],
    "VAL-001": [" HER2", "HER2 ", "HER2\u00a0", "\u3000HER2", "   "],
    "VAL-002": ["NA", "n/a", "null", "9999", "-", "不详", "未知", "#N/A", "Unknown", "."],
    "VAL-003": ["ad\u00c3\u00a9nome", "锟斤拷", "caf\ufffd", "itâ€™s"],
    "VAL-004": ["１２", "2020－01－01", "R１"],
    "VAL-005": ["R1\u200b", "R\u202e1", "Р1"],  # the last begins with a Cyrillic letter
    "VAL-006": ["1.2E+10", "12E+5", "1-Mar", "Sep-09"],
    "VAL-007": [
        *("01/02/2020", "2020/1/2", "2020.01.02", "2020年1月2日", "1-2-2020", "20200102"),
        *("2020-1-02", "2020-01-02 00:00:00", "2020-01-02T10:00", "2 Jan 2020", "02-Jan-20"),
        *("Jan 2, 2020", "2020-Jan-02", "2020–01–02", "2020-01-02Z", "20-3-31", "20-3-31-01"),
        *("\u30001/2/2020 ", "2020-1", "2020/01", "2020年1月", "2020年", "01/2020"),
    ],
    "VAL-009": ["44000", "42434.5", "60000"],
    "VAL-011": ["1900-01-01", "9999-12-31", "1970-01-01"],
    "VAL-013": [
        *("2021-02-30", "2020-13", "2020-00-01", "2020-04-31", "2019-02-29", "1900-02-29"),
        *("0000-00-00", "0000"),
    ],
    "VAL-014": ["1,5", "1,200", "1,200.5", "-3,25", "1.200,5", "1 200", "1'200", "1_200.5"],
    "VAL-015": ["<5", ">20", "≥ 3", "~8", "约8"],
    "STR-007": ["5 mg/kg", "80%", "12mm", "50毫克", "5 E", "5 eq"],
    "VAL-017": ["病" * 4000],
    "VAL-018": [
        "<script>alert(1)</script>",
        "<IMG src=x>",
        "=1+1",
        "@SUM(A1)",
        "+cmd|x",
        "javascript:x",
    ],
    "VAL-019": ["电话13912345678", "11010519491231002X", "a.b@example.org"],
}
NOT_FOUND = {
    "FIL-008": ["CT\nMRI", "表1", "a\tb"],
    "VAL-001": ["HER2 positive", ""],
    "VAL-002": ["N", "-5", "99", "narrow", "无淋巴结"],
    "VAL-003": ["Ångström", "café", "Ö", "约翰"],
    "VAL-004": ["12.5", "2020-01-01", "R-1"],
    "VAL-005": ["R1", "病理-1"],
    "VAL-006": ["E10", "12E", "MARCH", "Mar"],
    "VAL-007": ["2020-01-02", " 2020-01-02  ", "2020-01", "2020", "", "44000"],
    "VAL-009": ["2020-01-02", "2020", "20200102"],
    "VAL-011": ["1970-01-02", "1900", "1900-01"],
    "VAL-013": ["2020-02-29", "2020-12-31", "2020-12", "2020", "2000-02-29", "2400-02-29"],
    "VAL-014": ["1.5", "1.200", "1200", "-3"],
    "VAL-015": ["5", "-5", "1e3"],
    "STR-007": ["5", "5.0", "-0.3", "1,5", "1e+05", "5E-2"],
    "VAL-017": ["病" * 500],
    "VAL-018": ["-5", "+", "++", "(2+)", "a = b", "a<b"],
    "VAL-019": ["2020-01-02", "1391234567", "A13912345678901", "at 5 mg"],
}


def of_kind(check_id: str) -> list[Check]:
    return [
        c for c in structural_checks(CONTRACT) if c.check_id == check_id and c.table[:4] == "raw."
    ]


def columns_looked_at(check_id: str) -> dict[str, str]:
    """The last column of each table that a kind looks at."""
    found = {}
    for table in CONTRACT.tables.values():
        classes = _looked_at(KINDS[check_id], _columns_by_class(table))
        for column in table.columns:
            if column.role != "patient" and _class(column) in classes:
                found[table.name] = column.name
    return found


def test_every_kind_has_examples() -> None:
    assert set(FOUND) == set(NOT_FOUND) == set(KINDS)


@pytest.mark.parametrize("check_id", FOUND)
def test_it_is_found_in_every_table_that_can_hold_it(spoil: Spoil, check_id: str) -> None:
    columns = columns_looked_at(check_id)
    value = FOUND[check_id][0]
    warehouse = spoil(
        *(f"update raw.{table} set {name} = $${value}$$" for table, name in columns.items())
    )
    results = run(warehouse, checks=of_kind(check_id))
    assert {r.table_name for r in results} == {f"raw.{table}" for table in columns}
    assert [r.table_name for r in results if r.status != "fail"] == []


@pytest.mark.parametrize("check_id", FOUND)
def test_a_pattern_finds_what_it_is_for_and_nothing_else(check_id: str) -> None:
    (check, *_) = (c for c in of_kind(check_id) if c.table == "raw.pathology")
    column = columns_looked_at(check_id)["pathology"]
    with duckdb.connect() as connection:
        connection.execute("create schema raw; create schema quality")
        names = [c.name for c in CONTRACT.tables["pathology"].columns]
        text = ", ".join(f"{name} varchar" for name in names)
        connection.execute(
            f"create table raw.pathology (src_rid bigint, load_fault varchar, {text})"
        )
        connection.execute(
            "create table quality.quarantine (src_rid bigint, table_name varchar, "
            "column_name varchar, reason varchar)"
        )
        values = [*FOUND[check_id], *NOT_FOUND[check_id]]
        connection.executemany(
            f"insert into raw.pathology (src_rid, {column}) values (?, ?)",
            list(enumerate(values)),
        )
        found = connection.execute(
            f"select src_rid from ({check.rule.rows}) as checked where {check.rule.violation} "
            "order by src_rid"
        ).fetchall()
    assert [values[number] for (number,) in found] == FOUND[check_id]


def test_a_pattern_ends_with_its_value(spoil: Spoil) -> None:
    """A blank behind a date and the date of the next column are no time of day."""
    warehouse = spoil(
        "update raw.pathology set collected_date = '2020-01-02 ', reported_date = '2020-01-03'"
    )
    checks = [c for c in of_kind("VAL-007") if c.table == "raw.pathology"]
    assert [r.status for r in run(warehouse, checks=checks)] == ["pass"]


def typed(kind: str, value: str) -> object:
    """What the macro of staging makes of a value."""
    text = (PROJECT / "macros" / "typed_source.sql").read_text(encoding="utf-8")
    macros: Any = jinja2.Environment().from_string(text).module
    column = {"name": "value", "config": {"meta": {"kind": kind, "codes": {"yes": ["y"]}}}}
    with duckdb.connect() as connection:
        row = connection.execute(
            f"select cast({macros.typed_value(column)} as varchar) from (select $1 as value)",
            [value],
        ).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("kind", ["date", "partial_date"])
def test_a_date_in_another_format_is_never_read(kind: str) -> None:
    never = [*FOUND["VAL-007"], *FOUND["VAL-009"], *FOUND["VAL-013"], "-020-01-01", "infinity"]
    assert {value: typed(kind, value) for value in never} == dict.fromkeys(never)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("date", "2020-02-29", "2020-02-29"),
        ("date", " 2020-02-29\u3000", "2020-02-29"),
        ("date", "2020-02", None),
        ("partial_date", "2020-02", "2020-02-01"),
        ("partial_date", "2020", "2020-01-01"),
        ("number", "1.5", "1.5"),
        ("number", "-.5", "-0.5"),
        ("number", "1e+05", "100000.0"),
        ("integer", "5.0", "5"),
        ("integer", "5.5", None),
        ("code", " Y", "yes"),
        *(("number", value, None) for value in ("1_000", "nan", "inf", "1e400", "0x1F", "1,5")),
    ],
)
def test_a_value_is_read_as_the_contract_says(kind: str, value: str, expected: str | None) -> None:
    assert typed(kind, value) == expected
