"""Headline numbers under other rule sets."""

from __future__ import annotations

import duckdb
import pandas as pd
import small_warehouse
from outline import Outline
from small_warehouse import STUDY

from analysis import estimates, report
from analysis.exhibits import contents
from analysis.rule_sets import rule_set_label


def value(
    book: pd.DataFrame, exhibit: str, variable: str, level: str, statistic: str, convention: str
) -> float:
    found = book[
        (book["exhibit"] == exhibit)
        & (book["variable"] == variable)
        & (book["level"] == level)
        & (book["statistic"] == statistic)
        & (book["convention"] == convention)
    ]
    assert len(found) == 1
    return float(found["value"].iloc[0])


def test_the_study_s_own_rule_set_repeats_the_headline_numbers(book: pd.DataFrame) -> None:
    for own in ("lines: primary", "endpoints: primary"):
        for endpoint in ("os", "pfs"):
            assert value(book, "figS8", endpoint, own, "median_months", "preferred") == value(
                book, "fig1", endpoint, "first line", "median_months", "preferred"
            )
        assert value(
            book,
            "figS8",
            "os: trastuzumab vs no trastuzumab",
            own,
            "hazard_ratio",
            "preferred",
        ) == value(book, "fig2", "os", "group A vs group B", "hazard_ratio", "preferred")


def test_another_rule_set_is_computed_from_its_own_intervals(book: pd.DataFrame) -> None:
    for rule_set, primary in (
        ("lines: gap_60", "lines: primary"),
        ("endpoints: ema", "endpoints: primary"),
    ):
        own = value(book, "figS8", "pfs", primary, "median_months", "preferred")
        other = value(book, "figS8", "pfs", rule_set, "median_months", "preferred")
        assert 0.85 * own < other < 0.95 * own
        assert value(book, "figS8", "os", rule_set, "median_months", "preferred") == value(
            book, "figS8", "os", primary, "median_months", "preferred"
        )


def test_patients_who_change_are_counted(book: pd.DataFrame) -> None:
    cohort = small_warehouse.calibrated()
    split = cohort.iloc[::10]
    shifted = split["trastuzumab_line"].fillna(1) > 1
    for variable, expected in (
        ("number of lines", len(split)),
        ("trastuzumab_line", int(shifted.sum())),
        ("first_line_group", 0),
    ):
        changed = f"changed: {variable}"
        assert value(book, "figS8", changed, "lines: primary", "n", "as published") == 0
        assert value(book, "figS8", changed, "lines: gap_60", "n", "as published") == expected
    assert 0 < shifted.sum() < len(split)


def test_groups_that_follow_from_lines_are_those_of_the_rule_set() -> None:
    with small_warehouse.build(":memory:") as connection:
        # Under gap_60 nobody who had trastuzumab from the second line on is known to have had it.
        connection.execute(
            "delete from treatment.line_components "
            "where rule_set_id = 'gap_60' and ingredient = 'trastuzumab' and line_number > 1"
        )
        estimates.compute(connection, STUDY)
        found = connection.execute(
            "select level, value from results.estimates where exhibit = 'figS8' "
            "and variable = 'os: trastuzumab vs no trastuzumab' and statistic = 'hazard_ratio'"
        ).fetchall()
    ratios = dict(found)
    assert ratios["lines: gap_60"] != ratios["lines: primary"]


def test_a_rule_set_under_which_nobody_had_the_drug_compares_nothing() -> None:
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "delete from treatment.line_components "
            "where rule_set_id = 'gap_60' and ingredient = 'trastuzumab'"
        )
        estimates.compute(connection, STUDY)
        found = connection.execute(
            "select value, note from results.estimates where exhibit = 'figS8' "
            "and variable = 'os: trastuzumab vs no trastuzumab' and level = 'lines: gap_60' "
            "and statistic = 'hazard_ratio'"
        ).fetchall()
    assert found == [(None, "one side has no patients")]


def test_with_one_rule_set_the_report_says_so_and_draws_nothing() -> None:
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "delete from survival.survival_intervals where endpoint_rule_set_id <> 'primary'"
        )
        estimates.compute(connection, STUDY)
        text = report.page(connection, contents(connection, STUDY), run={})
    outline = Outline(text)
    assert "Endpoint and censoring: this study has one definition only (Primary)" in text
    assert "figS8-sensitivity-title" in outline.identifiers
    drawing = text[text.index("figS8-sensitivity-title") :]
    drawing = drawing[: drawing.index("</svg>")]
    assert "Line of therapy" in drawing and "Endpoint and censoring" not in drawing


def test_every_rule_set_stands_in_the_table(
    warehouse: duckdb.DuckDBPyConnection, page: str
) -> None:
    section = page[page.index('id="figS8-definitions-table"') :]
    section = section[: section.index("</table>")]
    order = [">Line of therapy<", ">Primary<", "Gap 60 days", ">Endpoint and censoring<", ">EMA<"]
    places = [section.index(text) for text in order]
    assert places == sorted(places)


def test_rule_sets_are_named_as_people_write_them() -> None:
    labels = [rule_set_label(name) for name in ("fda", "real_world", "recist_derived", "irecist")]
    assert labels == ["FDA", "Real world", "RECIST derived", "iRECIST"]
