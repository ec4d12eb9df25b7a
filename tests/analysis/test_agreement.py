"""Agreement of two raters, against a textbook's table and the large-sample formula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.estimators import InvalidSurvivalInput, agreement

#: Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, table 18.1: diagnoses
#: of 100 subjects by two raters.
FLEISS = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
CATEGORIES = ("psychotic", "neurotic", "organic")


def rated(table: np.ndarray) -> tuple[list[str], list[str]]:
    pairs = [
        (CATEGORIES[i], CATEGORIES[j])
        for i, row in enumerate(table)
        for j, count in enumerate(row)
        for _ in range(count)
    ]
    return [first for first, _ in pairs], [second for _, second in pairs]


def large_sample_error(table: np.ndarray) -> float:
    """Standard error of kappa (Fleiss, Cohen and Everitt 1969, formula 13)."""
    p = table / table.sum()
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, chance = np.trace(p), rows @ columns
    kappa = (observed - chance) / (1 - chance)
    k = len(p)
    same = sum(p[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in range(k))
    apart = (
        sum(p[i, j] * (columns[i] + rows[j]) ** 2 for i in range(k) for j in range(k) if i != j)
        * (1 - kappa) ** 2
    )
    centre = (kappa - chance * (1 - kappa)) ** 2
    return float(np.sqrt((same + apart - centre) / table.sum()) / (1 - chance))


def test_the_textbook_table() -> None:
    found = agreement(*rated(FLEISS))
    assert found.share.value == pytest.approx(0.89)
    # Chance agreement .80 x .80 + .10 x .05 + .10 x .15 = .66, so kappa = .23 / .34.
    assert found.kappa.value == pytest.approx(0.23 / 0.34)
    order = list(CATEGORIES)
    assert (found.counts.loc[order, order].to_numpy() == FLEISS).all()


@pytest.mark.parametrize("times", [1, 20])
def test_the_jackknife_is_the_large_sample_formula_in_large_samples(times: int) -> None:
    found = agreement(*rated(FLEISS * times))
    expected = large_sample_error(FLEISS * times)
    assert found.kappa.std_error == pytest.approx(expected, rel=0.05 / times)
    share_error = np.sqrt(0.89 * 0.11 / (100 * times - 1))
    assert found.share.std_error == pytest.approx(share_error, rel=1e-9)


def test_visits_counted_twice_tell_nothing_new_of_their_patients() -> None:
    first, second = rated(FLEISS)
    once = agreement(first, second)
    clusters = list(range(len(first))) * 2
    twice = agreement(first * 2, second * 2, clusters)
    for name in ("value", "std_error", "lower", "upper"):
        assert getattr(twice.kappa, name) == pytest.approx(getattr(once.kappa, name), rel=1e-9)
    assert agreement(first * 2, second * 2).kappa.std_error < 0.75 * once.kappa.std_error


def test_kappa_is_nothing_where_chance_always_agrees() -> None:
    found = agreement(["PR"] * 4, ["PR"] * 4)
    assert found.share.value == 1 and found.share.lower is None
    assert found.kappa.value is None
    opposite = agreement(["PR", "SD"], ["SD", "PR"])
    assert opposite.kappa.value == pytest.approx(-1)


def test_limits_stay_within_what_a_share_and_kappa_can_be() -> None:
    alike = agreement(["PR"] * 10, ["PR"] * 9 + ["SD"])
    assert alike.share.upper == 1
    apart = agreement(["PR", "SD"] * 4 + ["PR"], ["SD", "PR"] * 4 + ["PR"])
    assert apart.kappa.lower == -1


@pytest.mark.parametrize(
    ("first", "second", "cluster", "message"),
    [
        ([], [], None, "nothing that both"),
        (["PR"], ["PR", "SD"], None, "second has 2"),
        (["PR", "SD"], ["PR", "SD"], ["a"], "cluster has 1"),
        (["PR", None], ["PR", "SD"], None, "missing"),
    ],
)
def test_bad_input_is_refused(
    first: list[str], second: list[str], cluster: list[str] | None, message: str
) -> None:
    with pytest.raises(InvalidSurvivalInput, match=message):
        agreement(pd.Series(first, dtype=object), second, cluster)
