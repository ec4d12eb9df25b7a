"""Every query of docs/cookbook.md runs on the published demo and gives what its text names."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from lifelines import KaplanMeierFitter

from expectations.history import COLUMNS, RESULTS_TABLE

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook.md"


#: Words of the texts that are set like names and are none of an answer.
VALUES = {"unknown", "not_applicable", "src_rids"}


class Recipe(NamedTuple):
    question: str
    text: str
    query: str


def recipes() -> list[Recipe]:
    """Every block of SQL, with the text between it and the heading or block before."""
    found = []
    for chapter in COOKBOOK.read_text(encoding="utf-8").split("\n## ")[1:]:
        question, _, rest = chapter.partition("\n")
        parts = re.split(r"```sql\n(.*?)```", rest, flags=re.DOTALL)
        texts, queries = parts[::2], parts[1::2]
        found += [Recipe(question, text, q) for text, q in zip(texts, queries, strict=False)]
    return found


RECIPES = recipes()
QUESTIONS = list(dict.fromkeys(recipe.question for recipe in RECIPES))


@pytest.fixture(scope="module")
def published(demo):  # type: ignore[no-untyped-def]
    with demo.open() as connection:
        yield connection


def columns(connection: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    return {column[0] for column in connection.execute(query).description or []}


def test_there_are_a_dozen_questions() -> None:
    assert len(QUESTIONS) >= 12


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_a_recipe_gives_rows(published: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    assert published.execute(recipe.query).fetchone() is not None


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_a_text_names_is_there(published: duckdb.DuckDBPyConnection, question: str) -> None:
    """A name in the text is a column of an answer, or something of the published file."""
    mine = [recipe for recipe in RECIPES if recipe.question == question]
    answers = set().union(*(columns(published, recipe.query) for recipe in mine))
    tables = {
        name
        for schema, table in published.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall()
        for name in (table, f"{schema}.{table}")
    }
    named = {name for recipe in mine for name in re.findall(r"`([a-z_0-9.]+)`", recipe.text)}
    assert named - VALUES <= answers | tables
    assert named & answers


def test_the_study_population_is_that_of_the_attrition(
    published: duckdb.DuckDBPyConnection,
) -> None:
    population = published.execute(RECIPES[0].query).fetchall()
    steps = published.execute(RECIPES[1].query).fetchall()
    assert len(population) == steps[-1][-1]


def test_excluded_patients_add_up(published: duckdb.DuckDBPyConnection) -> None:
    steps = published.execute(RECIPES[1].query).fetchall()
    excluded = published.execute(RECIPES[2].query).fetchall()
    counted = {(step, why): n for step, _, why, n in excluded}
    for step, _, _, n_not_met, n_unknown, _ in steps:
        assert counted.get((step, "not met"), 0) == n_not_met
        assert counted.get((step, "unknown"), 0) == n_unknown


def test_the_patients_behind_progression_free_survival_are_counted_once(
    published: duckdb.DuckDBPyConnection,
) -> None:
    (query,) = [r.query for r in RECIPES if r.question.startswith("Progression-free")]
    keys = [row[1] for row in published.execute(query).fetchall()]
    assert len(keys) == len(set(keys)) > 0


def test_the_median_in_sql_is_that_of_lifelines(published: duckdb.DuckDBPyConnection) -> None:
    (query,) = [r.query for r in RECIPES if r.question.startswith("How long until")]
    intervals = published.execute(
        query.split("),\n\nsteps")[0].replace("with intervals as (", "")
    ).fetchdf()
    for line_number, n_lines, n_events, median in published.execute(query).fetchall():
        mine = intervals[intervals.line_number == line_number]
        assert (n_lines, n_events) == (len(mine), mine.event.sum())
        fitted = KaplanMeierFitter().fit(mine.time_months, mine.event).median_survival_time_
        assert (median is None and math.isinf(fitted)) or median == pytest.approx(fitted)


def test_the_share_alive_in_sql_is_that_of_lifelines(published: duckdb.DuckDBPyConnection) -> None:
    (query,) = [r.query for r in RECIPES if r.question.startswith("How many are alive")]
    intervals = published.execute(
        query.split("),\n\nsteps")[0].replace("with intervals as (", "")
    ).fetchdf()
    found = published.execute(query).fetchall()
    assert len(found) == intervals.status.nunique() > 1
    for status, n_patients, _, alive, lower, upper in found:
        mine = intervals[intervals.status == status]
        fitted = KaplanMeierFitter().fit(mine.time_months, mine.event)
        limits = fitted.confidence_interval_.loc[:24].iloc[-1]
        assert n_patients == len(mine)
        assert [alive, lower, upper] == [
            pytest.approx(100 * share, abs=0.06) for share in (fitted.predict(24), *limits)
        ]


def test_who_was_never_tested_is_counted(published: duckdb.DuckDBPyConnection) -> None:
    (query,) = [r.query for r in RECIPES if r.question.startswith("Who was never tested")]
    counted = published.execute(query).fetchall()
    known = {
        patient
        for (patient,) in published.execute(
            "select patient_key from cohort.biomarkers where biomarker = 'HER2'"
        ).fetchall()
    }
    everybody = published.execute(
        "select patient_key from cohort.cohort "
        "where study_id = 'her2_mcrc' and index_year is not null"
    ).fetchall()
    assert sum(row[1] for row in counted) == len(everybody)
    assert sum(row[2] for row in counted) == sum(key not in known for (key,) in everybody) > 0


@pytest.mark.parametrize("n", [2, 23, 24, 30, 44])
def test_a_curve_that_falls_to_one_half_has_its_median_there(n: int) -> None:
    """Products of shares miss one half by a rounding: of 24 patients, say."""
    (query,) = [r.query for r in RECIPES if r.question.startswith("How long until")]
    invented = (
        f"select 1 as line_number, i as time_months, true as event from range(1, {n + 1}) as t(i)"
    )
    with duckdb.connect() as connection:
        found = connection.execute(
            f"with intervals as ({invented}),\n\nsteps" + query.split("),\n\nsteps")[1]
        ).fetchall()
    assert found == [(1, n, n, (n + 1) // 2)]


def test_the_checks_of_earlier_runs_are_left_out() -> None:
    query = next(r.query for r in RECIPES if r.question.startswith("May these data"))
    with duckdb.connect() as connection:
        connection.execute("create schema quality")
        typed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        connection.execute(f"create table {RESULTS_TABLE} ({typed})")
        for number, status in ((1, "fail"), (2, "error")):
            result = {**dict.fromkeys(COLUMNS, "1"), "blocks": False, "status": status}
            told = {**result, "run_id": f"run {number}", "checked_at": f"2026-01-0{number}"}
            marks = ", ".join("?" * len(told))
            connection.execute(f"insert into {RESULTS_TABLE} values ({marks})", [*told.values()])
        found = connection.execute(query).fetchdf()
    assert found["status"].tolist() == ["error"]
