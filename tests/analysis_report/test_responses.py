"""Responses of the report, counted again from the rows of the small warehouse."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest
import small_warehouse

from analysis import estimates, report
from analysis.descriptive import clopper_pearson
from analysis.estimators import kaplan_meier
from analysis.exhibits import contents
from analysis.ledger import Ledger
from analysis.responses import best_responses, response_agreement
from analysis.study import load_study


def value(
    book: pd.DataFrame, exhibit: str, variable: str, level: str | None, statistic: str
) -> float:
    same_level = book["level"].isna() if level is None else book["level"] == level
    found = book[
        (book["exhibit"] == exhibit)
        & (book["variable"] == variable)
        & same_level
        & (book["statistic"] == statistic)
    ]
    assert len(found) == 1, (exhibit, variable, level, statistic)
    return float(found["value"].iloc[0])


@pytest.fixture(scope="module")
def best(warehouse: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return warehouse.execute("select * from survival.best_overall_responses").fetchdf()


@pytest.mark.parametrize("rule_set", ["primary", "recist_derived"])
@pytest.mark.parametrize(
    ("confirmed", "column"),
    [
        ("unconfirmed", "best_overall_response"),
        ("confirmed", "confirmed_best_overall_response"),
    ],
)
def test_rates_unconfirmed_and_confirmed(
    book: pd.DataFrame, best: pd.DataFrame, rule_set: str, confirmed: str, column: str
) -> None:
    responses = best.loc[best["endpoint_rule_set_id"] == rule_set, column]
    level = f"{rule_set}, {confirmed}"
    for name, inside in (
        ("CR", ["CR"]),
        ("NON-CR/NON-PD", ["NON-CR/NON-PD"]),
        ("not assessed", [None]),
        ("ORR", ["CR", "PR"]),
        ("DCR", ["CR", "PR", "SD", "NON-CR/NON-PD"]),
    ):
        count = int(responses.isin(inside).sum())
        assert count > 0
        assert value(book, "tableS4", name, level, "n") == count
        assert value(book, "tableS4", name, level, "pct") == pytest.approx(100 * count / 63)
        if name in ("ORR", "DCR"):
            limits = [
                value(book, "tableS4", name, level, f"pct_{end}") for end in ("lower", "upper")
            ]
            assert limits == pytest.approx(clopper_pearson(count, 63))


def test_disease_control_is_the_same_in_every_table(book: pd.DataFrame) -> None:
    """A patient without target lesions who is stable is NON-CR/NON-PD, not SD."""
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "update survival.response_by_line set best_overall_response = 'NON-CR/NON-PD' "
            "where best_overall_response = 'SD' and line_number = 2"
        )
        estimates.compute(connection, small_warehouse.STUDY)
        changed = connection.execute("select * from results.estimates").fetchdf()
    assert value(changed, "table4", "SD", "second", "n") == 0
    assert value(changed, "table4", "NON-CR/NON-PD", "second", "n") == 10
    before = value(book, "table4", "DCR", "second", "n")
    assert value(changed, "table4", "DCR", "second", "n") == before == 14


def test_confirmation_takes_responses_away_and_no_control(book: pd.DataFrame) -> None:
    orr = [
        value(book, "tableS4", "ORR", f"primary, {c}", "n") for c in ("unconfirmed", "confirmed")
    ]
    dcr = [
        value(book, "tableS4", "DCR", f"primary, {c}", "n") for c in ("unconfirmed", "confirmed")
    ]
    assert orr[0] > orr[1] and dcr[0] == dcr[1]


def test_where_nobody_was_assessed_there_is_no_rate() -> None:
    """A file that was not delivered leaves the response unknown; 0 of 63 would be an answer."""
    with small_warehouse.build(":memory:") as connection:
        for sources, levels in (
            (["derived"], ["primary, confirmed", "primary, unconfirmed"]),
            (["derived", "investigator"], []),
        ):
            connection.execute(
                "update survival.best_overall_responses set best_overall_response = null, "
                "confirmed_best_overall_response = null where response_source in ?",
                [sources],
            )
            estimates.compute(connection, small_warehouse.STUDY)
            book = connection.execute("select * from results.estimates").fetchdf()
            table = book[(book["exhibit"] == "tableS4") & (book["variable"] == "ORR")]
            assert sorted(set(table["level"])) == levels
        page = report.page(
            connection, contents(connection, small_warehouse.STUDY), run=small_warehouse.RUN
        )
    exhibit = page[page.index("Table S4") :]
    assert "This delivery holds nothing for it" in exhibit[: exhibit.index("</article>")]


def test_without_adverse_events_nobody_is_said_to_have_had_none() -> None:
    """A header alone is not a delivery."""
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "update quality.source_files set n_records = 0 where table_name = 'adverse_events'; "
            "delete from safety.adverse_events; "
            "update survival.response_by_line set best_overall_response = null"
        )
        estimates.compute(connection, small_warehouse.STUDY)
        (entered,) = connection.execute(
            "select count(*) from results.estimates where exhibit in ('table4', 'table5')"
        ).fetchall()
        page = report.page(
            connection, contents(connection, small_warehouse.STUDY), run=small_warehouse.RUN
        )
    assert entered == (0,)
    for number in ("Table 4", "Table 5"):
        exhibit = page[page.index(f">{number}") :]
        assert "This delivery holds nothing for it" in exhibit[: exhibit.index("</article>")]


def test_depth_of_response(book: pd.DataFrame, best: pd.DataFrame) -> None:
    changes = best.loc[best["endpoint_rule_set_id"] == "primary", "best_change_pct"].dropna()
    assert value(book, "tableS4", "best change", "primary", "n") == len(changes)
    for statistic, expected in (
        ("median_pct", changes.median()),
        ("q1_pct", changes.quantile(0.25)),
        ("q3_pct", changes.quantile(0.75)),
    ):
        assert value(book, "tableS4", "best change", "primary", statistic) == expected


def test_agreement_counts_visits(book: pd.DataFrame, warehouse: duckdb.DuckDBPyConnection) -> None:
    visits = warehouse.execute(
        "select derived_response as derived, recorded_response as recorded "
        "from survival.recist_assessments "
        "where derived_response is not null and recorded_response is not null"
    ).fetchdf()
    assert value(book, "tableS5", "visits", None, "visits_n") == len(visits)
    counts = visits.groupby(["derived", "recorded"]).size()
    assert len(counts) > 5
    for (derived, recorded), count in counts.items():
        assert value(book, "tableS5", f"visits: {derived}", recorded, "visits_n") == count
    alike = (visits["derived"] == visits["recorded"]).mean()
    chance = sum(
        (visits["derived"] == name).mean() * (visits["recorded"] == name).mean()
        for name in set(visits["derived"])
    )
    assert value(book, "tableS5", "visits", None, "agreement_pct") == pytest.approx(100 * alike)
    kappa = value(book, "tableS5", "visits", None, "kappa")
    assert kappa == pytest.approx((alike - chance) / (1 - chance))
    assert value(book, "tableS5", "visits", None, "kappa_ci_lower") < kappa < 1


def test_agreement_is_of_later_visits_of_the_population(
    book: pd.DataFrame, warehouse: duckdb.DuckDBPyConnection
) -> None:
    study, ledger = load_study(warehouse, small_warehouse.STUDY), Ledger(small_warehouse.STUDY)
    (analysis,) = (each for each in study.analyses if each.kind == "response_agreement")
    both = "derived_response is not null and recorded_response is not null"
    warehouse.execute("begin")
    for change, which in (("is_baseline = true", "min"), ("patient_key = 'of no study'", "max")):
        warehouse.execute(
            f"update survival.recist_assessments set {change} where rowid = "
            f"(select {which}(rowid) from survival.recist_assessments where {both})"
        )
    response_agreement(warehouse, study, analysis, ledger)
    warehouse.execute("rollback")
    (visits,) = (
        e.value
        for e in ledger.entries.values()
        if e.variable == "visits" and not e.level and e.statistic == "visits_n"
    )
    assert visits == value(book, "tableS5", "visits", None, "visits_n") - 2


def test_best_responses_are_those_of_the_population(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study, ledger = load_study(warehouse, small_warehouse.STUDY), Ledger(small_warehouse.STUDY)
    (analysis,) = (each for each in study.analyses if each.kind == "best_responses")
    warehouse.execute("begin")
    warehouse.execute(
        "insert into survival.best_overall_responses select * replace ('of no study' as "
        "patient_key) from survival.best_overall_responses where patient_key = "
        "(select min(patient_key) from survival.best_overall_responses)"
    )
    best_responses(warehouse, study, analysis, ledger)
    warehouse.execute("rollback")
    sizes = {e.value for e in ledger.entries.values() if e.variable == "patients"}
    assert sizes == {63}


def test_duration_runs_from_the_response(
    book: pd.DataFrame, warehouse: duckdb.DuckDBPyConnection
) -> None:
    intervals = warehouse.execute(
        "select time_days, event from survival.survival_intervals "
        "where endpoint = 'DOR' and endpoint_rule_set_id = 'primary' "
        "and line_rule_set_id = 'primary'"
    ).fetchdf()
    assert 10 < len(intervals) < 63
    assert value(book, "figS4", "dor", "Primary", "n") == len(intervals)
    curve = kaplan_meier(
        intervals["time_days"] / small_warehouse.DAYS_PER_MONTH, intervals["event"]
    )
    median = curve.median()
    assert value(book, "figS4", "dor", "Primary", "median_months") == median.value
    assert value(book, "figS4", "dor", "Primary", "median_ci_lower") == median.lower
    assert value(book, "figS4", "dor", "EMA", "n") == len(intervals)


def test_the_page_prints_both_and_names_the_definitions(page: str) -> None:
    table = page[page.index('id="tableS4-table"') :]
    table = table[: table.index("</table>")]
    assert "Investigator (N\xa0=\xa063)" in table and "From the lesion rows (N\xa0=\xa063)" in table
    assert table.count("Unconfirmed") == table.count(">Confirmed") == 2
    agreed = page[page.index('id="tableS5-table"') : page.index('id="figS4"')]
    assert "Cohen’s kappa: 0." in agreed
    durations = page[page.index('id="figS4-durations-table"') :]
    assert "Primary: duration of response, unconfirmed" in durations
    assert "Months from the response" in page
