"""Lines of therapy in the report: groups, lanes, transitions, reasons."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest
import small_warehouse
from matplotlib.collections import LineCollection
from small_warehouse import STUDY

from analysis import line_exhibits
from analysis.exhibits import contents
from analysis.ledger import Ledger
from analysis.line_classes import lines_with_class
from analysis.lines import NO_FURTHER_LINE, swimmer
from analysis.study import StudyError, load_study


def counts(book: pd.DataFrame, exhibit: str, variable: str) -> dict[str, int]:
    found = book[
        (book["exhibit"] == exhibit) & (book["variable"] == variable) & (book["statistic"] == "n")
    ]
    return {row.level: int(row.value) for row in found.itertuples()}


def test_groups_of_first_lines_are_those_of_the_mart(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study = load_study(warehouse, STUDY)
    lines = lines_with_class(warehouse, study, study.variable("first_line_group"))
    first = lines[(lines["rule_set_id"] == "primary") & (lines["line_number"] == 1)]
    own = first.set_index("patient_key")["group"]
    mart = study.levels["first_line_group"].astype(object)
    pd.testing.assert_series_equal(own, mart.loc[own.index], check_names=False)
    assert set(lines["rule_set_id"]) == set(small_warehouse.LINE_RULE_SETS)


def test_two_classes_in_one_line_are_several() -> None:
    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "insert into treatment.line_components by name select * replace "
            "('cetuximab' as ingredient, 'anti_egfr' as drug_class) "
            "from treatment.line_components where ingredient = 'bevacizumab' and line_number = 1 "
            "and rule_set_id = 'primary'"
        )
        connection.execute(
            "insert into treatment.line_components by name select * replace "
            "('sorafenib' as ingredient, 'mtki' as drug_class) "
            "from treatment.line_components where ingredient = 'cetuximab' and line_number = 1"
        )
        study = load_study(connection, STUDY)
        lines = lines_with_class(connection, study, study.variable("first_line_group"))
        first = lines[(lines["rule_set_id"] == "primary") & (lines["line_number"] == 1)]
        sizes = first["group"].value_counts().to_dict()
        # A drug of none of the study's classes does not move a line that has one of them.
        assert sizes["other or several targeted drugs"] == 16
        assert sizes["plus cetuximab"] == 9
        assert "plus bevacizumab" not in sizes


def test_only_a_variable_that_groups_lines_can_group_them(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    study = load_study(warehouse, STUDY)
    with pytest.raises(StudyError, match="sex groups no lines"):
        lines_with_class(warehouse, study, study.variable("sex"))


def test_every_patient_has_one_lane_and_nobody_is_named(
    warehouse: duckdb.DuckDBPyConnection, page: str
) -> None:
    bars = warehouse.execute("select * from results.figure_bars where exhibit = 'figS1'").fetchdf()
    observed = bars[bars["part"] == "observed"]
    assert list(observed["position"]) == list(range(1, 64))
    assert (bars["part"] == "death").sum() == 25
    ends = observed.set_index("position")["end_value"]
    lines = bars[bars["part"] == "line"]
    assert (lines["start_value"] <= lines["end_value"]).all()
    assert (lines["end_value"] <= lines["position"].map(ends) + 1e-9).all()
    for _, panel in observed.groupby("panel", sort=False):
        assert panel["end_value"].is_monotonic_decreasing
    everything = bars.astype(str).to_csv()
    keys = [f"patient-{number:03d}" for number in range(1, 64)]
    assert not any(key in everything or key in page for key in keys)


def test_no_order_of_patients_shows_among_lanes_as_long() -> None:
    def lanes(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
        study, ledger = load_study(connection, STUDY), Ledger(STUDY)
        (swimmers,) = (analysis for analysis in study.analyses if analysis.exhibit == "figS1")
        swimmer(connection, study, swimmers, ledger)
        return ledger.bars[0].reset_index(drop=True)

    with small_warehouse.build(":memory:") as connection:
        connection.execute(
            "update survival.survival_intervals set time_months = 40 where endpoint = 'OS'"
        )
        found = lanes(connection)
        small_warehouse.rename_patients(connection)
        pd.testing.assert_frame_equal(found, lanes(connection))
    assert found.groupby("position")["part"].agg(" ".join).nunique() > 1


def test_patients_are_kept_from_line_to_line(book: pd.DataFrame) -> None:
    first, second, third = (counts(book, "figS2", f"line {n}") for n in (1, 2, 3))
    assert sum(first.values()) == 63
    assert sum(second.values()) == 63
    assert sum(third.values()) == 63 - second[NO_FURTHER_LINE]
    for before, after, column in ((first, second, 1), (second, third, 2)):
        flows = counts(book, "figS2", f"line {column} to line {column + 1}")
        for group, n in before.items():
            if group != NO_FURTHER_LINE:
                leaving = [f for name, f in flows.items() if name.startswith(f"{group} to ")]
                assert sum(leaving) == n
        for group, n in after.items():
            arriving = [f for name, f in flows.items() if name.endswith(f" to {group}")]
            assert sum(arriving) == n


def test_reasons_and_grades_add_up_to_the_lines(book: pd.DataFrame) -> None:
    lines = counts(book, "tableS3", "lines")
    own = book[(book["exhibit"] == "tableS3") & (book["statistic"] == "n")]
    for kind in ("began", "ended", "confidence"):
        found = own[own["variable"].str.startswith(f"{kind}: ")]
        assert found.groupby("level")["value"].sum().to_dict() == lines
    assert lines["all lines"] == sum(n for name, n in lines.items() if name != "all lines")


def test_reasons_are_told_with_the_limits_of_the_rule_set(page: str) -> None:
    section = page[page.index('id="lines"') : page.index('id="response"')]
    assert "progression_restart_days" not in section
    assert "42 days" in section


def test_of_many_patients_evenly_spaced_ones_are_drawn_and_it_is_said(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn() -> tuple[int, str, str]:
        exhibit = next(
            found
            for section in contents(warehouse, STUDY).sections
            for found in section.exhibits
            if found.identifier == "figS1"
        )
        (picture,) = exhibit.wide
        (axes,) = picture.figure.axes
        observed = next(c for c in axes.collections if isinstance(c, LineCollection))
        return len(observed.get_segments()), exhibit.legend, picture.description

    patients, *told = drawn()
    assert not any("one in" in text for text in told)
    monkeypatch.setattr(line_exhibits, "MOST_LANES", patients // 3)
    fewer, *told = drawn()
    assert patients // 5 <= fewer <= patients // 3
    said = f"Of {patients:,} patients one in {patients // fewer} is drawn"
    assert all(said in text for text in told)
