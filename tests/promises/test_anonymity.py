"""Patients whom an outsider could pick out are counted, and what tells them apart is withheld."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from pipeline import anonymity, publish
from pipeline.anonymity import LEAST_SHARED
from pipeline.errors import CommandError

CLASS = [(f"p{n}", 61, "male", 2017, "FOLFOX") for n in range(LEAST_SHARED)]
SINGLETONS = [
    ("alone", 88, "female", 2014, "XELOX"),
    # Each is like the class but for one thing.
    ("band", 71, "male", 2017, "FOLFOX"),
    ("regimen", 61, "male", 2017, "XELOX"),
    ("sex", 61, "female", 2017, "FOLFOX"),
    ("year", 61, "male", 2016, "FOLFOX"),
]


@pytest.fixture
def build() -> Iterator[duckdb.DuckDBPyConnection]:
    """A known table: just enough alike, and some of whom each is alone."""
    with duckdb.connect() as connection:
        for schema in ("cohort", "treatment", "reference"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table reference.studies as select 's' as study_id, 'r' as line_rule_set_id"
        )
        connection.execute(
            "create table told (patient_key text, age int, sex text, year int, regimen text)"
        )
        connection.executemany("insert into told values (?, ?, ?, ?, ?)", [*CLASS, *SINGLETONS])
        connection.execute(
            "create table cohort.cohort as select 's' as study_id, patient_key, "
            "true as included, year as index_year from told"
        )
        connection.execute(
            "create table cohort.patient_characteristics as "
            "select 's' as study_id, patient_key, age as age_at_index, sex from told"
        )
        connection.execute(
            "create table treatment.lines_of_therapy as select 's' as study_id, patient_key, "
            "'r' as rule_set_id, 1 as line_number, regimen from told"
        )
        # Later lines and other rules do not make one patient several.
        connection.execute(
            "insert into treatment.lines_of_therapy select 's', 'alone', rule, line, 'XELOX' "
            f"from (select 'r' as rule, unnest(range(2, {LEAST_SHARED + 2})) as line union all "
            f"select 'q' || unnest(range({LEAST_SHARED})), 1)"
        )
        connection.execute(
            "create table reference.study_variables as select * from (values "
            "('s', 'years', 'characteristic', 'age_at_index'), "
            "('s', 'site', 'characteristic', 'primary_side')) "
            "as variables (study_id, variable, rule, argument)"
        )
        connection.execute(
            "create table cohort.patient_variables as "
            "select 's' as study_id, patient_key, variable, "
            "if(variable = 'years', age::text, 'left') as value, value as level, "
            "1 as level_order from told, reference.study_variables"
        )
        yield connection


def told(build: duckdb.DuckDBPyConnection, table: str, column: str) -> dict[str, int | None]:
    expression = anonymity.published("cohort", table, column)
    return dict(build.execute(f"select patient_key, {expression} from cohort.{table}").fetchall())


def test_sec16_a_singleton_is_counted_and_coarsened(build: duckdb.DuckDBPyConnection) -> None:
    assert anonymity.report(build) == [
        {"study_id": "s", "n_patients": 10, "k": 1, "n_below": 5, "wanted": 5}
    ]
    anonymity.find_few(build, synthetic=False)
    ages = told(build, "patient_characteristics", "age_at_index")
    years = told(build, "cohort", "index_year")
    for patient_key, *_ in SINGLETONS:
        assert ages[patient_key] is None
        assert years[patient_key] is None
    assert [ages[patient_key] for patient_key, *_ in CLASS] == [61] * LEAST_SHARED
    assert [years[patient_key] for patient_key, *_ in CLASS] == [2017] * LEAST_SHARED


def test_sec16_who_is_in_no_study_is_protected_too(build: duckdb.DuckDBPyConnection) -> None:
    """Alone among the others, though like the members; these do not become more by this."""
    build.execute("insert into cohort.cohort values ('s', 'excluded', false, 2017)")
    build.execute("insert into cohort.patient_characteristics values ('s', 'excluded', 61, 'male')")
    build.execute(
        "insert into treatment.lines_of_therapy values ('s', 'excluded', 'r', 1, 'FOLFOX')"
    )
    assert anonymity.report(build)[0]["n_patients"] == 10
    anonymity.find_few(build, synthetic=False)
    assert told(build, "patient_characteristics", "age_at_index")["excluded"] is None
    assert told(build, "cohort", "index_year")["excluded"] is None
    assert told(build, "cohort", "index_year")["p0"] == 2017


def test_sec16_another_study_does_not_tell_what_one_withholds(
    build: duckdb.DuckDBPyConnection,
) -> None:
    build.execute("insert into reference.studies values ('t', 'r')")
    build.execute("insert into cohort.cohort values ('t', 'p0', true, 2017)")
    build.execute("insert into cohort.patient_characteristics values ('t', 'p0', 61, 'male')")
    build.execute("insert into treatment.lines_of_therapy values ('t', 'p0', 'r', 1, 'FOLFOX')")
    anonymity.find_few(build, synthetic=False)
    years = build.execute(
        f"select study_id, patient_key, {anonymity.published('cohort', 'cohort', 'index_year')} "
        "from cohort.cohort where patient_key in ('p0', 'p1') order by all"
    ).fetchall()
    assert years == [("s", "p0", None), ("s", "p1", 2017), ("t", "p0", None)]


@pytest.mark.parametrize("column", ["value", "level", "level_order"])
def test_sec16_age_is_withheld_under_the_name_and_levels_that_a_study_gives_it(
    build: duckdb.DuckDBPyConnection, column: str
) -> None:
    anonymity.find_few(build, synthetic=False)
    expression = anonymity.published("cohort", "patient_variables", column)
    withheld = build.execute(
        f"select patient_key, variable from (select *, {expression} as told "
        "from cohort.patient_variables) where told is null order by all"
    ).fetchall()
    assert withheld == [(patient_key, "years") for patient_key, *_ in SINGLETONS]


def test_invented_patients_are_published_as_they_are(build: duckdb.DuckDBPyConnection) -> None:
    anonymity.find_few(build, synthetic=True)
    assert None not in told(build, "patient_characteristics", "age_at_index").values()


def test_other_columns_are_untouched() -> None:
    assert anonymity.published("cohort", "cohort", "included") == '"included"'


def test_sec03_a_date_on_the_allow_list_is_refused() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create schema cohort; create schema reference; "
            "create table cohort.cohort (patient_key text, index_date date, note text, new text); "
            "create table reference.published_columns as select 'cohort' as schema_name, "
            "'cohort' as table_name, unnest(['patient_key', 'index_date', 'note']) as column_name, "
            "unnest([true, false, false]) as published"
        )
        allowed = publish._allowed(connection, ["cohort"])
        assert allowed == {("cohort", "cohort"): ["patient_key"]}
        assert publish.not_listed(connection) == ["cohort.cohort.new"]
        connection.execute("update reference.published_columns set published = true")
        with pytest.raises(CommandError, match=r"cohort\.cohort\.index_date is a date"):
            publish._allowed(connection, ["cohort"])


@pytest.mark.parametrize(
    ("said", "invented"),
    [(["yes"], True), (["no"], False), ([None], False), ([], False), (["yes", "no"], False)],
)
def test_patients_of_whom_nobody_says_they_are_invented_are_real(
    said: list[str | None], invented: bool
) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create schema staging; create table staging.stg_common__delivery as "
            "select unnest(?::varchar[]) as synthetic",
            [said],
        )
        assert publish._is_synthetic(connection) == invented
