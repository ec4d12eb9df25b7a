"""Analyses of a later line than the first: whom they count, from when, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import duckdb
import pytest
import small_warehouse
from lifelines import KaplanMeierFitter
from small_warehouse import DAYS_PER_MONTH, RUN, STUDY

from analysis import comparison, disclosure, estimates, exhibits, report, second_programming
from analysis.book import Book
from analysis.findings import key_findings
from analysis.later_lines import OF_ONE_LINE
from analysis.ledger import PREFERRED
from analysis.study import StudyError, load_study, ordinal
from expectations.small_cells import HIDDEN, SMALL_CELL

Row = dict[str, object]

CONTRAST = "chemotherapy alone vs with a targeted drug"
BY_CLASS: Row = {
    "group_variable": "second_line",
    "contrast": CONTRAST,
    "contrast_level": "chemotherapy alone",
}
BEFORE_TREATMENT = "age+sex+primary_site+ras_braf+first_line_group"


def ask(connection: duckdb.DuckDBPyConnection, *analyses: Row) -> None:
    """Replace the study's analyses; each has an exhibit of its own unless it names one."""
    connection.execute("delete from reference.study_analyses")
    connection.execute("delete from reference.study_cautions")
    for place, analysis in enumerate(analyses, start=1):
        filled = {
            "study_id": STUDY,
            "display_order": place,
            "exhibit": f"tableS{place}",
            "population": "all",
            "line_number": 2,
            "title": f"Analysis {place}",
            **analysis,
        }
        marks = ", ".join("?" for _ in filled)
        connection.execute(
            f"insert into reference.study_analyses ({', '.join(filled)}) values ({marks})",
            [*filled.values()],
        )


def with_second_lines(connection: duckdb.DuckDBPyConnection) -> None:
    """Give every patient who had line 2 its class, times, responses and toxicity."""
    connection.execute(
        """
        insert into reference.study_variables by name
        select * replace (
            'second_line' as variable, 'Second line' as label, '2' as argument, 99 as display_order
        )
        from reference.study_variables
        where variable = 'first_line_group';
        insert into reference.study_variable_levels by name
        select * replace ('second_line' as variable)
        from reference.study_variable_levels
        where variable = 'first_line_group';

        create temp table had as
        select patient_key, row_number() over (order by patient_key) as place
        from treatment.lines_of_therapy
        where rule_set_id = 'primary' and line_number = 2;
        insert into cohort.patient_variables by name
        select
            study_id, patient_key, 'second_line' as variable, level as value,
            if(place % 2 = 0, 'chemotherapy alone', 'plus bevacizumab') as level
        from (from cohort.patient_variables where variable = 'sex')
        inner join had using (patient_key);
        insert into survival.survival_intervals by name
        select intervals.* replace (
            2 as line_number,
            time_days // 2 + place as time_days,
            (time_days // 2 + place) / 30.4375 as time_months,
            (place % 3) * 30 as entry_days
        )
        from survival.survival_intervals as intervals
        inner join had using (patient_key);
        insert into survival.best_overall_responses by name
        select best.* replace (
            2 as line_number, if(place % 5 = 0, 'CR', 'PD') as best_overall_response,
            if(place % 5 = 0, 'CR', 'PD') as confirmed_best_overall_response
        )
        from survival.best_overall_responses as best
        inner join had using (patient_key);
        delete from survival.response_by_line where line_number = 2;
        insert into survival.response_by_line by name
        select
            study_id, line_rule_set_id, patient_key, line_number, best_overall_response,
            cast(place as double) as best_change_pct
        from survival.best_overall_responses
        inner join had using (patient_key)
        where line_number = 2 and endpoint_rule_set_id = 'primary';
        insert into safety.adverse_events by name
        select
            study_id, patient_key, 'gastrointestinal' as category, '3-4' as grade_group,
            'related' as attribution, 2 as line_number, true as may_be_related
        from (from cohort.patient_variables where variable = 'sex')
        inner join had using (patient_key)
        where place <= 7;
        """
    )


@pytest.fixture
def later() -> Iterator[duckdb.DuckDBPyConnection]:
    with small_warehouse.build(":memory:") as connection:
        with_second_lines(connection)
        yield connection


def computed_contents(connection: duckdb.DuckDBPyConnection) -> exhibits.Contents:
    estimates.compute(connection, STUDY)
    return exhibits.contents(connection, STUDY, private=True)


def computed(connection: duckdb.DuckDBPyConnection) -> Book:
    return computed_contents(connection).book


def had_line_2(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {key for (key,) in connection.execute("select patient_key from had").fetchall()}


def test_times_by_hand(later: duckdb.DuckDBPyConnection) -> None:
    """Five had line 2: time, event and entry, days.

    Survival falls to 4/5 at 20, 3/5 at 30 and, after a censoring at 60, to 3/10 at 90. With delayed
    entry the first has gone before eligibility was known, and at 30 only two are at risk: 1/2.
    Log-rank by class: O = 2 against E = 3/5 + 2/4, V = 6/25 + 1/4.
    """
    five = sorted(had_line_2(later))[:5]
    marks = ", ".join(f"'{key}'" for key in five)
    later.execute(
        f"delete from treatment.lines_of_therapy where line_number > 1 "
        f"and patient_key not in ({marks})"
    )
    alone, more = "chemotherapy alone", "plus bevacizumab"
    for key, (days, event, entry, level) in zip(
        five,
        (
            (30, True, 0, alone),
            (60, False, 0, alone),
            (90, True, 40, more),
            (120, True, 100, more),
            (20, True, 25, alone),
        ),
        strict=True,
    ):
        later.execute(
            "update survival.survival_intervals set time_days = ?, time_months = ? / 30.4375, "
            "event = ?, entry_days = ? "
            "where patient_key = ? and line_number = 2 and endpoint = 'OS'",
            [days, days, event, entry, key],
        )
        later.execute(
            "update cohort.patient_variables set level = ? "
            "where patient_key = ? and variable = 'second_line'",
            [level, key],
        )
    ask(
        later,
        {"kind": "survival", "endpoint": "OS", "contrast": "second line"},
        {"kind": "survival", "endpoint": "OS", **BY_CLASS},
    )
    book = computed(later)
    page = book.page("tableS1", "all")
    found = page.get("os", "second line", "median_months", PREFERRED)
    assert found is not None and (found.n, found.events) == (5, 4)
    assert found.value == pytest.approx(90 / DAYS_PER_MONTH)
    assert found.parameters["time_origin"] == "start of line 2"
    assert found.parameters["line_number"] == 2
    at_risk = [name for name in page.statistics("os", "second line") if "at_risk" in name]
    assert at_risk == [f"n_at_risk_{month}_months" for month in range(4)]
    assert page.value("os", "second line", "n_at_risk_1_months", "as published") == 3
    delayed = "os delayed entry"
    assert page.value(delayed, "second line", "median_months") == pytest.approx(30 / DAYS_PER_MONTH)
    assert page.value(delayed, "second line", "late_n") == 3
    assert page.value(delayed, "second line", "excluded_n") == 1
    by_class = book.page("tableS2", "all").get("os", CONTRAST, "logrank_chi2")
    assert by_class is not None and by_class.value == pytest.approx(0.9**2 / 0.49)
    who = book.page("later lines", "all")
    assert [
        who.value("line 2", level, "n", "as published") for level in ("had it", "did not have it")
    ] == [
        5,
        58,
    ]


def test_every_kind_is_of_those_who_had_the_line(
    later: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No number of line 2 counts anybody else, and a second programme finds the same."""
    timed = {"endpoint": "OS"}
    special: dict[str, Row] = {
        "count_within": {
            "group_variable": "sex",
            "detail_variable": "ras_braf",
            "detail_level": "mutant",
        },
        "characteristics_by_group": {"group_variable": "second_line"},
        "missingness": {"group_variable": "second_line"},
        "adverse_events": {"group_variable": "second_line"},
        "best_responses": {},
        "waterfall": {},
        "characteristics": {},
        "response_duration": {"endpoint": "DOR"},
        "survival": {**timed, **BY_CLASS, "pairwise": "yes"},
        "cumulative_incidence": {"endpoint": "TTNT", "group_variable": "second_line"},
        "weighting": {**timed, **BY_CLASS, "covariates": BEFORE_TREATMENT},
        "e_values": {**timed, **BY_CLASS},
        "line_rule_sets": {**timed, **BY_CLASS},
        "endpoint_rule_sets": {"endpoint": "PFS"},
    }
    analyses = [{"kind": kind, **special.get(kind, timed)} for kind in OF_ONE_LINE]
    later.execute(
        "update reference.study_variables set in_univariable = 'no', cox_reference = null "
        "where variable not in ('age', 'sex', 'second_line');"
        "update reference.study_variables set in_univariable = 'yes', "
        "cox_reference = 'chemotherapy alone' where variable = 'second_line'"
    )
    # What the table of characteristics counts within stands in its exhibit.
    within = next(each for each in analyses if each["kind"] == "count_within")
    within["exhibit"] = f"tableS{1 + OF_ONE_LINE.index('characteristics')}"
    ask(later, *analyses)
    book = computed(later)
    found = later.execute(
        """
        select exhibit, count(distinct patient_key) as n, list(distinct patient_key) as patients
        from results.estimates
        inner join results.estimate_patients using (estimate_id)
        inner join results.patient_sets using (patient_set)
        where exhibit like 'table%'
        group by exhibit
        """
    ).fetchall()
    assert len(found) == len(analyses) - 1
    had = had_line_2(later)
    assert {exhibit for exhibit, _, patients in found if not set(patients) <= had} == set()
    silent = later.execute(
        "select distinct exhibit, variable from results.estimates where exhibit like 'table%' "
        "and json_extract_string(parameters, 'line_number') is distinct from '2'"
    ).fetchall()
    assert silent == []
    monkeypatch.setattr(second_programming, "variables", lambda *_: ())  # of staged rows
    compared = second_programming.compute(later, STUDY)
    assert len(compared) >= 6
    assert [each for each in compared if not each.agrees] == []
    _responses_and_toxicity(later, book)
    page = report.page(later, exhibits.contents(later, STUDY), run=RUN)
    shown = page[page.index('<section id="patients">') : page.index('<section id="methods">')]
    assert page.count("Patients who had second-line treatment: 30 of ") >= len(found)
    assert "from the start of second-line treatment" in shown
    assert "from line 2" in shown
    for of_the_first in ("first-line treatment", "from line 1", "a first line"):
        assert of_the_first not in shown
    assert "Time runs from the first day of line 2. " in page


def _responses_and_toxicity(later: duckdb.DuckDBPyConnection, book: Book) -> None:
    place = {kind: f"tableS{1 + OF_ONE_LINE.index(kind)}" for kind in OF_ONE_LINE}
    best = book.page(place["best_responses"], "all")
    # Every fifth of 30, where line 1 has other responses.
    assert best.value("CR", "primary, unconfirmed", "n", "as published") == 6
    assert best.value("ORR", "primary, unconfirmed", "pct", "as published") == 20
    depth = book.page(place["waterfall"], "all")
    assert depth.value("best change", None, "n") == 30
    assert depth.value("best change", None, "median_pct") == 15.5
    events = book.page(place["adverse_events"], "all")
    counts = {
        level: events.value("gastrointestinal grade 3-4", level, "n", "as published")
        for level in events.levels("second_line")
    }
    assert (counts["chemotherapy alone"], counts["plus bevacizumab"]) == (3, 4)
    assert sum(value or 0 for value in counts.values()) == 7
    later_ones = later.execute(
        "select count(*) from results.estimates where exhibit = ? and value > 0 "
        "and variable like '% grade %' and variable not like 'gastrointestinal%'",
        [place["adverse_events"]],
    ).fetchone()
    assert later_ones == (0,)


def test_curves_are_those_of_lifelines(later: duckdb.DuckDBPyConnection) -> None:
    ask(later, {"kind": "survival", "endpoint": "PFS", "contrast": "second line"})
    page = computed(later).page("tableS1", "all")
    times = later.execute(
        "select time_months, event, entry_days / 30.4375 as entry from survival.survival_intervals "
        "where line_number = 2 and endpoint = 'PFS' "
        "and (line_rule_set_id, endpoint_rule_set_id) = ('primary', 'primary')"
    ).fetchdf()
    theirs = KaplanMeierFitter().fit(times["time_months"], times["event"])
    assert page.value("pfs", "second line", "median_months") == theirs.median_survival_time_
    late = times[times["entry"] < times["time_months"]]
    theirs = KaplanMeierFitter().fit(late["time_months"], late["event"], entry=late["entry"])
    ours = page.value("pfs delayed entry", "second line", "median_months")
    assert ours == theirs.median_survival_time_


def test_with_the_first_line_beside_it_nothing_of_the_first_moves(
    later: duckdb.DuckDBPyConnection,
) -> None:
    """Numbers of line 1 are what they are without analyses of a later one."""
    first: Row = {"kind": "survival", "endpoint": "OS", "line_number": None, "contrast": "all"}
    ask(later, first)
    computed(later)
    query = (
        "select * exclude (study_id) from results.estimates where exhibit = 'tableS1' order by all"
    )
    before = later.execute(query).fetchall()
    ask(later, first, {**first, "line_number": 2}, {**first, "line_number": 3})
    computed(later)
    assert later.execute(query).fetchall() == before
    page = report.page(later, exhibits.contents(later, STUDY), run=RUN)
    origin = "the first day of line 1 (of line 2 in Table S2; of line 3 in Table S3)"
    assert page.count(f"Time runs from {origin}") == 2
    assert "14 of HER2-positive mCRC, without the 49 who did not have it" in page


def test_e_values_are_of_the_ratios_of_their_line(later: duckdb.DuckDBPyConnection) -> None:
    compared: Row = {**BY_CLASS, "group_variable": "first_line_group", "endpoint": "OS"}
    ask(
        later,
        {"kind": "survival", "line_number": None, **compared},
        {"kind": "survival", **compared},
        {"kind": "e_values", **compared},
    )
    assert computed(later).variables("tableS3", "all") == ["tableS2: os"]


def test_events_that_compete_are_those_of_the_line(later: duckdb.DuckDBPyConnection) -> None:
    later.execute(
        "update survival.survival_intervals set source = 'death' "
        "where endpoint = 'TTNT' and line_number = 2 and event"
    )
    ask(later, {"kind": "cumulative_incidence", "endpoint": "TTNT"})
    assert computed(later).variables("tableS1", "all") == ["ttnt incidence: death"]


def test_of_a_line_that_nobody_had_there_is_nothing(later: duckdb.DuckDBPyConnection) -> None:
    nobody: Row = {"line_number": 9}
    timed: Row = {**nobody, "endpoint": "OS"}
    ask(
        later,
        *(
            {"kind": kind, **timed}
            for kind in ("survival", "cumulative_incidence", "cox", "univariable", "imputation")
        ),
        *({"kind": kind, **nobody} for kind in ("characteristics", "best_responses", "waterfall")),
        {"kind": "adverse_events", **nobody, "group_variable": "first_line_group"},
        {"kind": "weighting", **timed, **BY_CLASS, "covariates": "age"},
    )
    computed(later)
    page = report.page(later, exhibits.contents(later, STUDY), run=RUN)
    assert page.count("0 of HER2-positive mCRC, without the 63 who did not have it") >= 10
    counted = later.execute(
        "select count(*) from results.estimates where n > 0 and exhibit like 'table%'"
    ).fetchone()
    assert counted == (0,)


EVER: Row = {"group_variable": "trastuzumab", "contrast": "A", "contrast_level": "trastuzumab"}


@pytest.mark.parametrize(
    ("analyses", "told"),
    [
        ([{"kind": "swimmer", "group_variable": "first_line_group"}], "swimmer is of no single"),
        ([{"kind": "response", "group_variable": "trastuzumab_line"}], "response is of no single"),
        ([{"kind": "quantity", "group_variable": "age"}], "quantity is of no single line"),
        ([{"kind": "line_rule_set_changes"}], "line_rule_set_changes is of no single line"),
        ([{"kind": "survival", "endpoint": "OS", "line_number": 0}], "line_number 0 is no line"),
        (
            [{"kind": "survival", "endpoint": "OS", **BY_CLASS, "landmark_months": "3"}],
            "landmarks are months from the start of line 1",
        ),
        ([{"kind": "survival", "endpoint": "OS", **EVER}], "trastuzumab (ingredient_ever trastu"),
        (
            [{"kind": "survival", "endpoint": "OS", "group_variable": "trastuzumab_line"}],
            "(ingredient_line trastuzumab) is known only after the start of line 2, which survival",
        ),
        (
            [{"kind": "survival", "endpoint": "OS", "population": "group A"}],
            "trastuzumab (ingredient_ever trastuzumab) is known only after the start of line 2",
        ),
        (
            [{"kind": "weighting", "endpoint": "OS", **BY_CLASS, "covariates": "age+trastuzumab"}],
            "trastuzumab (ingredient_ever trastuzumab) is known only",
        ),
        (
            [{"kind": "adverse_events", "group_variable": "second_line", "line_number": None}],
            "second_line (line_class 2) is known only after the start of line 1, which "
            "adverse_events is of. Name the line in line_number",
        ),
        (
            [{"kind": "adverse_events", "group_variable": "trastuzumab_line", "line_number": 1}],
            "trastuzumab_line (ingredient_line trastuzumab) is known only after",
        ),
        (
            [
                {"kind": "survival", "endpoint": "OS", "line_number": None, "exhibit": "fig1"},
                {"kind": "survival", "endpoint": "PFS", "exhibit": "fig1"},
            ],
            "display_order 2: fig1 has an analysis of line 1 and one of line 2",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_row(
    later: duckdb.DuckDBPyConnection, analyses: list[Row], told: str
) -> None:
    ask(later, *analyses)
    with pytest.raises(StudyError, match=re.escape(told)) as stopped:
        estimates.compute(later, STUDY)
    assert f"Study {STUDY}, study_analyses, display_order {len(analyses)}: " in str(stopped.value)


def test_a_model_of_a_class_to_come_is_refused(later: duckdb.DuckDBPyConnection) -> None:
    later.execute(
        "update reference.study_variables set argument = '3', cox_reference = 'chemotherapy alone' "
        "where variable = 'second_line'"
    )
    ask(later, {"kind": "cox", "endpoint": "OS"})
    with pytest.raises(StudyError, match=r"second_line \(line_class 3\) is known only after"):
        estimates.compute(later, STUDY)


def test_groups_of_lines_before_may_be_compared(later: duckdb.DuckDBPyConnection) -> None:
    ask(
        later,
        {"kind": "survival", "endpoint": "OS", "group_variable": "first_line_group"},
        {"kind": "adverse_events", "group_variable": "first_line_group"},
    )
    page = computed(later).page("tableS1", "all")
    sizes = [page.value("os", level, "n", "as published") for level in page.levels("os")]
    assert sum(size or 0 for size in sizes) == 30


def line_2_of_all_but(connection: duckdb.DuckDBPyConnection, n: int) -> None:
    """Give line 2, with the deaths of line 1, to those who did not have it, all but so many."""
    connection.execute(
        f"""
        create temp table too as
        select distinct patient_key
        from treatment.lines_of_therapy
        anti join had using (patient_key)
        order by patient_key
        offset {n};
        insert into treatment.lines_of_therapy by name
        select first.* replace (2 as line_number)
        from treatment.lines_of_therapy as first
        inner join too using (patient_key)
        where line_number = 1;
        insert into survival.survival_intervals by name
        select first.* replace (2 as line_number)
        from survival.survival_intervals as first
        inner join too using (patient_key)
        """
    )


def test_few_who_did_not_have_the_line_are_not_told_of_real_patients(
    later: duckdb.DuckDBPyConnection,
) -> None:
    """Neither beside the exhibit, nor as what is left of all patients when line 2 is counted."""
    later.execute("update staging.stg_common__delivery set synthetic = 'no'")
    line_2_of_all_but(later, 3)
    all_of: Row = {"kind": "survival", "endpoint": "OS", "contrast": "all"}
    ask(
        later,
        {"kind": "population_size", "line_number": None, "exhibit": "text"},
        {"kind": "characteristics"},
        {**all_of, "line_number": None},
        all_of,
    )
    estimates.compute(later, STUDY)
    edition = disclosure.shareable(later, load_study(later, STUDY))
    book = Book(edition.estimates)
    assert book.page("text", "all").display("cohort", "HER2-positive mCRC", "n") == "63"
    who = book.page("later lines", "all")
    assert who.display("line 2", "did not have it", "n") == HIDDEN
    assert who.display("line 2", "had it", "n") == HIDDEN
    characteristics = [
        row for row in edition.estimates if row["exhibit"] == "tableS2" and row["n"] is not None
    ]
    assert characteristics == []


def test_what_line_2_leaves_of_a_count_of_real_patients_is_not_told(
    later: duckdb.DuckDBPyConnection,
) -> None:
    """A level of all patients beside that level of those with line 2, and deaths beside deaths."""
    later.execute("update staging.stg_common__delivery set synthetic = 'no'")
    line_2_of_all_but(later, 16)
    all_of: Row = {"kind": "survival", "endpoint": "OS", "contrast": "all"}
    ask(
        later,
        {"kind": "characteristics", "line_number": None},
        {"kind": "characteristics"},
        {**all_of, "line_number": None},
        all_of,
    )
    estimates.compute(later, STUDY)
    shown = Book(disclosure.shareable(later, load_study(later, STUDY)).estimates)
    complete = Book(disclosure.complete(later, load_study(later, STUDY)).estimates)
    tempting = 0
    for first, second, statistic in (
        ("tableS1", "tableS2", "n"),
        ("tableS3", "tableS4", "events_n"),
    ):
        for variable in complete.variables(second, "all"):
            for level in complete.page(second, "all").levels(variable, statistic):
                before, after = (
                    complete.page(exhibit, "all").value(variable, level, statistic, "as published")
                    for exhibit in (first, second)
                )
                others = (before or 0) - (after or 0)
                if not 0 < others < SMALL_CELL:
                    continue
                tempting += 1
                displays = [
                    shown.page(exhibit, "all").display(variable, level, statistic)
                    for exhibit in (first, second)
                ]
                assert HIDDEN in displays, (variable, level)
    assert tempting > 0


def test_counts_of_a_later_line_are_known_by_its_patients(
    later: duckdb.DuckDBPyConnection,
) -> None:
    """Who is left out is one of those who had the line; a death is the same from either line."""
    had = frozenset(had_line_2(later))
    few = frozenset(sorted(had)[:2])
    row = {"exhibit": "tableS1", "population": "all", "variable": "os", "level": None}
    row |= {"statistic": "excluded_n", "value": 2.0, "parameters": '{"line_number": 2}'}
    found = disclosure._count(disclosure.Number(row, had - few, None), load_study(later, STUDY))
    assert (found.key, found.among) == (few, had)
    for endpoint, is_same in (("OS", True), ("PFS", False)):
        first, second = (
            disclosure._events_question(endpoint.lower(), {"endpoint": endpoint, **line})
            for line in ({}, {"line_number": 2})
        )
        assert (first == second) is is_same


def test_nothing_of_the_first_line_stands_in_tables_of_a_later_one(
    later: duckdb.DuckDBPyConnection,
) -> None:
    """The median age of all patients heads Table 1 of all; medians of line 2 are called so."""
    ask(
        later,
        {"kind": "quantity", "group_variable": "age", "line_number": None, "exhibit": "text"},
        {"kind": "characteristics", "line_number": None},
        {"kind": "characteristics"},
        {"kind": "endpoint_rule_sets", "endpoint": "PFS"},
    )
    found = computed_contents(later)
    tables = {
        exhibit.identifier: exhibit.tables[0]
        for section in found.sections
        for exhibit in section.exhibits
    }
    ages = [tables[name].rows[0].cells for name in ("tableS2", "tableS3")]
    assert ages[0][0].text.startswith("median ")
    assert list(ages[1]) == []
    assert (
        tables["tableS4"]
        .head[0][-1]
        .text.startswith("Median PFS, HER2-positive mCRC, from line 2: months")
    )


def test_the_follow_up_of_a_later_line_is_called_so(later: duckdb.DuckDBPyConnection) -> None:
    ask(
        later,
        {"kind": "population_size", "line_number": None, "exhibit": "text"},
        {"kind": "follow_up", "endpoint": "OS", "exhibit": "text"},
    )
    found = computed_contents(later)
    (told,) = [
        finding.text
        for finding in key_findings(found.study, found.book, comparison.summary(later, STUDY))
        if finding.lead == "Follow-up"
    ]
    assert told.startswith("Of those who had second-line treatment, ")
    assert "Median follow-up from the start of second-line treatment was " in told
    page = report.page(later, found, run=RUN)
    assert page.count("Time runs from the first day of line 2") == 2


def test_lines_are_counted_in_words() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 9, 10)] == [
        "first",
        "second",
        "third",
        "ninth",
        "10th",
    ]
