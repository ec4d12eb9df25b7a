"""The page of the demo: its numbers are those of the finished run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import duckdb
import pytest
from quality_page import tables

from expectations import report


@pytest.fixture(scope="module")
def built(demo) -> Iterator[duckdb.DuckDBPyConnection]:  # type: ignore[no-untyped-def]
    with demo.private() as connection:
        yield connection


@pytest.fixture(scope="module")
def page(built: duckdb.DuckDBPyConnection) -> str:
    return report.page(built, run={})


def test_attrition_and_accounts_are_those_of_the_marts(
    built: duckdb.DuckDBPyConnection, page: str
) -> None:
    steps = built.execute(
        "select n_in, n_not_met, n_unknown, n_out from cohort.cohort_attrition order by step"
    ).fetchall()
    shown = tables(page)["Attrition of her2_mcrc"][1:]
    assert [tuple(int(n.replace(",", "")) for n in row[1:]) for row in shown] == steps
    account = tables(page)["Row accounting by file"]
    total = built.execute(
        "select sum(n_records), sum(n_staged), sum(n_quarantined) from quality.source_files"
    ).fetchone()
    assert tuple(int(n.replace(",", "")) for n in account[-1][1:4]) == total
    assert {row[7] for row in account[1:]} == {"adds up"}


def test_the_tally_is_that_of_the_stored_results(
    built: duckdb.DuckDBPyConnection, page: str
) -> None:
    stored = dict(
        built.execute(
            "select status, count(*) from quality.expectation_results group by status"
        ).fetchall()
    )
    tally = re.findall(r'class="n">(\d+)</span> <span class="status (\w+)">', page)
    assert {status: int(n) for n, status in tally if int(n)} == stored


def test_no_count_of_few_patients_is_printed(page: str) -> None:
    found = tables(page)
    (_, _, patients, *_) = found["Completeness by variable and year, her2_mcrc"]
    (_, *followed, _) = found["Follow-up by year of index, her2_mcrc"]
    (_, _, *agreement) = found["Agreement of responses, her2_mcrc"]
    for row in (patients, *followed, *agreement):
        assert not {"1", "2", "3", "4"} & set(row[1:])


def test_no_key_of_a_patient_is_on_the_page(built: duckdb.DuckDBPyConnection, page: str) -> None:
    keys = {key for (key,) in built.execute("select patient_key from cohort.cohort").fetchall()}
    assert len(keys) > 2000
    assert not keys & set(re.findall(r"\w+", page))
