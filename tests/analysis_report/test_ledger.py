from __future__ import annotations

import pytest

from analysis.estimators import kaplan_meier
from analysis.ledger import Ledger, display, format_p, round_half_up, slug


@pytest.mark.parametrize(
    ("statistic", "value", "shown"),
    [
        ("n", 2460, "2,460"),
        ("events_n", 25, "25"),
        ("n_at_risk_12_months", 7, "7"),
        ("pct", 33.333, "33.3"),
        ("survival_pct_12_months", 84.46, "84.5"),
        ("median_months", 48.2, "48.2"),
        ("median_years", 54, "54"),
        ("logrank_chi2", 5.8545, "5.855"),
        ("logrank_p", 0.0156, "0.016"),
        ("logrank_p_holm", 0.99996, ">0.999"),
        ("ph_p", 0.00009, "<0.001"),
        ("hazard_ratio", 0.2274, "0.23"),
        ("firth_hr_ci_upper", 10.698, "10.70"),
        ("concordance", 0.7731, "0.773"),
        ("rmst_difference_months", -9.24, "-9.2"),
        ("hr_ci_lower", 0.0049, "<0.01"),
        ("hr_ci_lower", 0.005, "0.01"),
        ("hr_ci_upper", float("inf"), "not estimable"),
        ("p", float("nan"), "not estimable"),
    ],
)
def test_a_number_is_printed_at_the_precision_of_its_statistic(
    statistic: str, value: float, shown: str
) -> None:
    assert display(statistic, value) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "rounded"),
    [(2.25, 1, 2.3), (0.35, 1, 0.4), (-2.25, 1, -2.3), (1.005, 2, 1.01), (84.4499, 1, 84.4)],
)
def test_halves_are_rounded_away_from_zero(value: float, decimals: int, rounded: float) -> None:
    assert round_half_up(value, decimals) == pytest.approx(rounded, abs=1e-12)


def test_p_values_at_the_limits() -> None:
    assert format_p(0.001) == "0.001"
    assert format_p(0.00099) == "<0.001"
    assert format_p(1.0) == ">0.999"
    assert format_p(0.9994) == "0.999"


@pytest.mark.parametrize(
    ("time", "event", "shown"),
    [
        ([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1], ["3.0", "1.0", "not reached"]),
        ([1, 2, 3, 4], [1, 1, 0, 0], ["2.0", "1.0", "not reached"]),
        # Nobody's event is known before the last one's: S falls from 1 to 0 at once, as in R's NA.
        ([5], [1], ["5.0", "not estimable", "not estimable"]),
        ([1, 2, 8], [0, 0, 1], ["8.0", "not estimable", "not estimable"]),
        ([5, 8, 9], [0, 0, 0], ["not reached", "not reached", "not reached"]),
    ],
)
def test_a_median_says_why_a_limit_is_missing(
    time: list[int], event: list[int], shown: list[str]
) -> None:
    page = Ledger("a_study").page("fig1", "all")
    page.add_median("os", "all", kaplan_meier(time, event).median())
    assert [entry.display for entry in page.ledger.entries.values()] == shown


def test_identifiers_keep_comparison_signs_apart() -> None:
    assert slug("<54") == "lt-54"
    assert slug(">=54") == "ge-54"
    assert slug("CPT-11+S1") == "cpt-11-plus-s1"


def test_a_number_cannot_be_entered_twice() -> None:
    page = Ledger("a_study").page("table1", "all")
    page.add("sex", "male", "n", 41)
    with pytest.raises(ValueError, match=r"a_study\.table1\.all\.sex\.male\.n"):
        page.add("sex", "male", "n", 42)


def test_what_does_not_exist_says_why() -> None:
    ledger = Ledger("a_study")
    ledger.page("fig1", "all").about(0).add("os", "x", "median_months", None, missing="no patients")
    (entry,) = ledger.entries.values()
    assert entry.value is None
    assert entry.display == "no patients"
    assert entry.n == 0
