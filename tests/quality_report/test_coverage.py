"""Completeness and follow-up against counts made another way, and what is hidden in them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from quality_page import RUN, tables

from expectations import coverage, report

CUTOFF = datetime.date(2021, 2, 19)

# Year, patients, of whom grade is not known, of whom HER2 was not tested.
YEARS = ((2012, 40, 0, 10), (2013, 60, 12, 20), (2014, 50, 3, 50), (2015, 7, 7, 0))


@pytest.fixture
def cohort(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """157 patients of four years; every fifth is in the study."""
    with duckdb.connect(str(warehouse)) as connection:
        for table in ("cohort", "patient_characteristics", "biomarkers"):
            connection.execute(f"delete from cohort.{table}")
        connection.execute(
            "create table intermediate.int_study_index "
            "(study_id text, patient_key text, index_date date, data_cutoff date, "
            "last_contact_date date, death_date date, death_undated boolean, "
            "is_followed_to_cutoff boolean)"
        )
        for year, n, no_grade, no_her2 in YEARS:
            for number in range(n):
                key = f"{year}-{number}"
                start = datetime.date(year, 3, 1)
                is_dead = number % 2 == 0
                seen = CUTOFF if number % 3 else start + datetime.timedelta(days=100)
                connection.execute(
                    "insert into cohort.cohort (study_id, patient_key, included, index_year) "
                    "values ('her2_mcrc', ?, ?, ?)",
                    [key, number % 5 == 0, year],
                )
                connection.execute(
                    "insert into cohort.patient_characteristics "
                    "(study_id, patient_key, sex, differentiation, metastatic_pattern) "
                    "values ('her2_mcrc', ?, 'female', ?, 'unknown')",
                    [key, None if number < no_grade else "well"],
                )
                if number >= no_her2:
                    connection.execute(
                        "insert into cohort.biomarkers (study_id, patient_key, biomarker, status) "
                        "values ('her2_mcrc', ?, 'HER2', 'negative')",
                        [key],
                    )
                connection.execute(
                    "insert into intermediate.int_study_index values "
                    "('her2_mcrc', ?, ?, ?, ?, ?, false, ?)",
                    [key, start, CUTOFF, seen, seen if is_dead else None, seen == CUTOFF],
                )
        yield connection


def test_shares_are_those_of_the_tables(cohort: duckdb.DuckDBPyConnection) -> None:
    (_, head, patients, *rows) = tables(report.page(cohort, run=RUN))[
        "Completeness by variable and year, her2_mcrc"
    ]
    assert head == ["2012", "2013", "2014", "2015"]
    found = {row[0]: row[1:] for row in rows}
    assert patients == ["Patients", "40", "60", "50", "7", "157", "32"]
    assert found["sex"] == ["100"] * 6
    assert found["metastatic pattern"] == ["0"] * 6
    # Three of 2014 lack a grade; 2015, where seven do, would give them away.
    assert found["differentiation"] == ["100", "80", "[c]", "[c]", "86", "81"]
    assert found["HER2"][:5] == ["75", "67", "0", "100", "49"]


def test_a_biomarker_of_nobody_is_known_of_none(cohort: duckdb.DuckDBPyConnection) -> None:
    text = report.page(cohort, run=RUN)
    completeness = tables(text)["Completeness by variable and year, her2_mcrc"]
    found = {row[0]: row[1:] for row in completeness}
    assert found["KRAS"] == ["0"] * 6
    assert "KRAS" in text.split("Known of fewer than 75%")[1].split("</li>")[0]


def test_the_shade_follows_what_is_missing(cohort: duckdb.DuckDBPyConnection) -> None:
    found = coverage.completeness(cohort, "her2_mcrc")
    assert found is not None
    cells = {name: cells for _, variables in found.groups for name, cells in variables}
    assert [cell.shade for cell in cells["HER2"][:4]] == [3, 4, coverage.SHADES, 0]
    assert [cell.shade for cell in cells["differentiation"][2:4]] == [None, None]


def test_follow_up_is_that_of_the_dates(cohort: duckdb.DuckDBPyConnection) -> None:
    found = coverage.follow_up(cohort, "her2_mcrc")
    assert found is not None
    lines = dict(found.lines)
    assert found.headings == ("2012", "2013", "2014", "2015", "All")
    assert lines["Patients"] == ("40", "60", "50", "7", "157")
    # Of seven patients of 2015 four died, two were followed to the end, one was lost; the smallest
    # other count of each line is hidden with theirs.
    assert lines["Known to have died"] == ("[c]", "30", "25", "[c]", "79")
    assert lines["Alive, followed to the end"][3] == "[c]"
    assert lines["Alive when last seen, lost since"][3] == "[c]"
    for texts in found.lines[1:4]:
        assert texts[1].count("[c]") == 2
    medians = cohort.execute(
        "select median(least(last_contact_date, coalesce(death_date, last_contact_date)) "
        "- index_date) / 30.4375 from intermediate.int_study_index "
        "group by year(index_date) order by year(index_date)"
    ).fetchall()
    assert lines["Median time observed, months"][:4] == tuple(f"{m:.1f}" for (m,) in medians)


def test_a_year_of_few_patients_is_hidden_in_every_table(
    cohort: duckdb.DuckDBPyConnection,
) -> None:
    few = "patient_key in ('2015-4', '2015-5', '2015-6')"
    for table in (
        "cohort.cohort",
        "cohort.patient_characteristics",
        "intermediate.int_study_index",
    ):
        cohort.execute(f"delete from {table} where {few}")
    page = tables(report.page(cohort, run=RUN))
    (_, _, patients, *_) = page["Completeness by variable and year, her2_mcrc"]
    (_, followed, *_) = page["Follow-up by year of index, her2_mcrc"]
    assert patients[1:6] == ["[c]", "60", "50", "[c]", "154"]
    assert followed[1:] == patients[1:6]


def test_patients_without_a_year_have_a_column(cohort: duckdb.DuckDBPyConnection) -> None:
    cohort.execute("update cohort.cohort set index_year = null where index_year = 2012")
    found = coverage.completeness(cohort, "her2_mcrc")
    assert found is not None
    assert found.headings[:4] == ("2013", "2014", "2015", coverage.YEAR_UNKNOWN)
    assert found.patients[3] == "40"


def test_what_is_little_known_is_a_limitation(cohort: duckdb.DuckDBPyConnection) -> None:
    text = report.page(cohort, run=RUN)
    assert "Known of fewer than 75% of the patients: " in text
    assert "metastatic pattern" in text.split("Known of fewer than 75%")[1].split("</li>")[0]
