"""Verdicts: that each can be reached, and that each can be missed."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pandas as pd
import pytest
from small_warehouse import STUDY

from analysis.comparison import compare, display_like, summary
from analysis.ledger import Ledger

PRINTED = {
    "study_id": "s",
    "result_id": "r1",
    "exhibit": "fig1",
    "population": "all",
    "variable": "os",
    "level": "first line",
    "statistic": "median_months",
    "printed": "48.2",
    "decimals": 1,
    "status": "ok",
    "note": None,
}


def verdict(
    value: float | None, missing: str = "not reached", synthetic: bool = False, **printed: Any
) -> dict[str, Any]:
    """Verdict on one printed number when this is what is computed."""
    row = {**PRINTED, **printed}
    ledger = Ledger("s")
    ledger.page(row["exhibit"], row["population"]).add(
        row["variable"], row["level"], row["statistic"], value, "some method", missing=missing
    )
    found = compare(pd.DataFrame([row]), ledger.frame(), synthetic=synthetic)
    return found.iloc[0].to_dict()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (48.2, "reproduced"),
        (48.249, "reproduced"),
        (48.25, "reproduced"),
        (48.15, "reproduced"),
        (48.2501, "differs"),
        (48.1499, "differs"),
        (None, "differs"),
    ],
)
def test_half_a_unit_of_the_last_printed_digit_decides(value: float | None, expected: str) -> None:
    assert verdict(value)["verdict"] == expected


@pytest.mark.parametrize(
    ("printed", "value", "expected"),
    [
        (">0.05", 0.0501, "reproduced"),
        (">0.05", 0.05, "differs"),
        (">0.05", 0.012, "differs"),
        ("<0.05", 0.049, "reproduced"),
        ("<0.05", 0.05, "differs"),
    ],
)
def test_an_inequality_is_compared_with_the_p_value(
    printed: str, value: float, expected: str
) -> None:
    found = verdict(value, printed=printed, statistic="logrank_p", decimals=2)
    assert found["verdict"] == expected


def test_not_reached_needs_a_median_that_is_not_reached() -> None:
    assert verdict(None, printed="not reached", decimals=0)["verdict"] == "reproduced"
    found = verdict(61.3, printed="not reached", decimals=0)
    assert found["verdict"] == "differs"
    assert "61" in found["explanation"]


def test_without_patients_nothing_is_reproduced() -> None:
    found = verdict(None, missing="no patients", printed="not reached", decimals=0)
    assert found["verdict"] == "not computed"


def test_a_number_without_an_estimate_is_not_computed() -> None:
    ledger = Ledger("s")
    ledger.page("fig2", "all").add("os", "x", "n", 1)
    found = compare(pd.DataFrame([PRINTED]), ledger.frame()).iloc[0]
    assert found["verdict"] == "not computed"
    assert found["computed_display"] is None


def test_a_count_that_no_row_has_is_zero() -> None:
    ledger = Ledger("s")
    ledger.page("table2", "group A").add("line", "first", "n", 3)
    row = {**PRINTED, "exhibit": "table2", "population": "group A", "variable": "line"}
    absent = {**row, "level": "first: S1", "statistic": "n", "printed": "1", "decimals": 0}
    found = compare(pd.DataFrame([absent]), ledger.frame()).iloc[0]
    assert (found["verdict"], found["computed_value"]) == ("differs", 0)
    zero = compare(pd.DataFrame([{**absent, "printed": "0"}]), ledger.frame()).iloc[0]
    assert zero["verdict"] == "reproduced"


def test_what_is_known_of_nobody_is_not_zero() -> None:
    ledger = Ledger("s")
    page = ledger.page("table1", "all").about(3)
    page.add("ras", "missing", "n", 3)
    page.add("sex", "missing", "n", 1)
    ledger.page("table6", "all").add("os by ras", "mutant", "n", 0)
    row = {**PRINTED, "statistic": "n", "level": "mutant", "printed": "2", "decimals": 0}
    verdicts = [
        compare(
            pd.DataFrame([{**row, "exhibit": exhibit, "variable": variable}]), ledger.frame()
        ).iloc[0]["verdict"]
        for exhibit, variable in (("table1", "ras"), ("table6", "os by ras"), ("table1", "sex"))
    ]
    assert verdicts == ["not computed", "not computed", "differs"]


def test_an_impossible_number_cannot_be_even_if_it_is_computed() -> None:
    found = verdict(48.2, status="impossible", note="it contradicts Table 1")
    assert found["verdict"] == "cannot be"
    assert "it contradicts Table 1" in found["explanation"]
    assert "48.2" in found["explanation"]


@pytest.mark.parametrize("status", ["conflict", "ambiguous", "derived"])
def test_other_notes_are_kept_beside_the_verdict(status: str) -> None:
    found = verdict(48.2, status=status, note="counted otherwise")
    assert found["verdict"] == "reproduced"
    assert "counted otherwise" in found["explanation"]
    assert "some method" in found["explanation"]
    assert verdict(47.0, status=status, note="counted otherwise")["verdict"] == "differs"


def test_a_difference_says_how_large_it_is() -> None:
    found = verdict(5.8545, printed="5.852", statistic="logrank_chi2", decimals=3)
    assert found["difference"] == pytest.approx(0.0025)
    assert "chi-square 0.0025 above" in found["explanation"]
    assert "2.5 units of the last printed digit" in found["explanation"]
    count = verdict(9, printed="12", statistic="n", decimals=0)
    assert count["explanation"].startswith("count 3 below the printed one; ")


def test_a_difference_says_whose_patients_were_computed() -> None:
    assert "not the study's patients" in verdict(47.0)["explanation"]
    assert "invented to resemble" in verdict(47.0, synthetic=True)["explanation"]
    assert verdict(48.2, synthetic=True)["explanation"] is None


def test_levels_that_are_empty_match_levels_that_are_null() -> None:
    assert verdict(48.2, level=None)["verdict"] == "reproduced"


def test_computed_numbers_are_shown_like_the_printed_ones() -> None:
    assert display_like("5.852", 3, 5.8545) == "5.855"
    assert display_like("20", 0, 20.04) == "20"
    assert display_like(">0.05", 2, 0.12749) == "0.127"


def test_the_study_is_reproduced_from_the_calibrated_cohort(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    found = summary(warehouse, STUDY)
    assert found["total"] == 322
    assert found["self_consistent"]["total"] == 309
    assert found["self_consistent"]["reproduced"] >= 300
    assert found["verdicts"]["not computed"] == 0
    assert found["verdicts"]["cannot be"] == 6
    assert sum(found["verdicts"].values()) == 322


def test_what_the_cohort_is_known_to_miss_is_what_differs(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """The cohort's README: the chi-square, and both ends of two Cox intervals, by a digit."""
    differing = {
        row["result_id"]: row
        for row in summary(warehouse, STUDY)["differs"]
        if row["verdict"] == "differs"
    }
    known = {"fig2_001", "table7_006", "table7_007", "table7_014", "table7_015"}
    assert set(differing) == known
    assert all("last printed digit" in row["explanation"] for row in differing.values())


def test_the_contradictions_of_the_study_are_explained(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = {row["result_id"]: row for row in summary(warehouse, STUDY)["differs"]}
    assert "1 of 3 is 33.3%" in rows["table4_014"]["explanation"]
    assert rows["table4_014"]["computed"] == "33.3"
    assert rows["table7_009"]["computed"] == "0.475"
    open_to_doubt = {row["result_id"]: row for row in summary(warehouse, STUDY)["doubtful"]}
    assert len(open_to_doubt) == 13 - 6
    assert all(row["explanation"] for row in open_to_doubt.values())
    assert (
        "possible as events, impossible as patients" in open_to_doubt["table5_015"]["explanation"]
    )


def test_the_summary_is_plain_data(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = summary(warehouse, STUDY)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    row = found["differs"][0]
    assert {"result_id", "printed", "computed", "verdict", "explanation"} <= set(row)
