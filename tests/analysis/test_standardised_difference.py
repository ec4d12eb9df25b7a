from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_examples import data

from analysis.estimators import InvalidSurvivalInput, balance_table, standardised_difference


def counted(levels: list[str], first: list[int], second: list[int]) -> tuple[list[str], list[int]]:
    values = [
        level
        for counts in (first, second)
        for level, n in zip(levels, counts, strict=True)
        for _ in range(n)
    ]
    return values, [0] * sum(first) + [1] * sum(second)


def test_three_levels_as_published() -> None:
    # Race in the right heart catheterisation data, R package tableone's vignette: 0.036; the
    # squared distance worked out step by step is 0.001267793.
    values, group = counted(["black", "other", "white"], [585, 213, 2753], [335, 142, 1707])
    found = standardised_difference(values, group)
    assert found == pytest.approx(np.sqrt(0.001267793), rel=1e-6)
    assert round(found or 0, 3) == 0.036


def test_two_levels_are_the_difference_of_proportions() -> None:
    values, group = counted(["no", "yes"], [60, 40], [30, 70])
    wanted = 0.3 / np.sqrt((0.4 * 0.6 + 0.7 * 0.3) / 2)
    assert standardised_difference(values, group) == pytest.approx(wanted, rel=1e-12)
    # As numbers the variance has the divisor n - 1.
    numbers = [float(value == "yes") for value in values]
    assert standardised_difference(numbers, group) == pytest.approx(
        wanted * np.sqrt(99 / 100), rel=1e-12
    )


def test_numbers_keep_the_sign_and_leave_missing_out() -> None:
    lung = data("lung")
    first, second = (lung.age[lung.sex == sex] for sex in (1, 2))
    wanted = (second.mean() - first.mean()) / np.sqrt((first.var() + second.var()) / 2)
    assert standardised_difference(lung.age, lung.sex) == pytest.approx(wanted, rel=1e-12)
    with_missing = np.r_[lung.age, np.nan]
    assert standardised_difference(with_missing, np.r_[lung.sex, 1]) == pytest.approx(wanted)


def test_whole_number_weights_repeat_patients_nearly() -> None:
    values, group = np.array([1.0, 2, 4, 2, 5, 9]), np.array([0, 0, 0, 1, 1, 1])
    repeats = np.array([200, 100, 300, 100, 100, 200])
    repeated = standardised_difference(np.repeat(values, repeats), np.repeat(group, repeats))
    weighted = standardised_difference(values, group, weights=repeats)
    assert repeated is not None and weighted is not None
    means = [np.average(values[group == k], weights=repeats[group == k]) for k in (0, 1)]
    # Austin's divisor corrects for the number of distinct patients.
    w = [repeats[group == k] / repeats[group == k].sum() for k in (0, 1)]
    spread = [
        np.sum(w[k] * (values[group == k] - means[k]) ** 2) / (1 - np.sum(w[k] ** 2))
        for k in (0, 1)
    ]
    assert weighted == pytest.approx((means[1] - means[0]) / np.sqrt(np.mean(spread)), rel=1e-12)
    levels = np.array(["a", "b", "c", "a", "b", "c"])
    assert standardised_difference(levels, group, weights=repeats) == pytest.approx(
        standardised_difference(np.repeat(levels, repeats), np.repeat(group, repeats)), rel=1e-12
    )


def test_where_nothing_varies() -> None:
    assert standardised_difference([3, 3, 3, 3], [0, 0, 1, 1]) == 0
    assert standardised_difference([3, 3, 4, 4], [0, 0, 1, 1]) is None
    assert standardised_difference(["a", "a", "b", "b"], [0, 0, 1, 1]) is None
    assert standardised_difference(["a", "a", "a"], [0, 0, 1]) == 0
    assert standardised_difference([3, None, None], [0, 0, 1]) is None


def test_table_before_and_after() -> None:
    frame = pd.DataFrame({"age": [1.0, 2, 3, 4], "stage": ["I", "II", "I", "I"]})
    table = balance_table(frame, ["age", "stage"], [0, 0, 1, 1], weights=[1, 3, 3, 1])
    assert list(table.columns) == ["covariate", "before", "after"]
    assert abs(table["after"][0]) < abs(table["before"][0])


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="the data have 3"):
        standardised_difference([1, 2, 3], [0, 1, 2])
    with pytest.raises(InvalidSurvivalInput, match="not positive"):
        standardised_difference([1, 2], [0, 1], weights=[1, 0])
    with pytest.raises(InvalidSurvivalInput, match="no column named age"):
        balance_table(pd.DataFrame({"x": [1, 2]}), ["age"], [0, 1])


def test_rounding_of_a_mean_is_no_variance() -> None:
    weights = [1.4, 0.6, 0.2, 0.1, 1.7, 1.9]
    values = [0.1, 0.1, 0.1, 0.7, 0.7, 0.7]
    assert standardised_difference(values, [0, 0, 0, 1, 1, 1], weights=weights) is None
    assert standardised_difference([0.1] * 6, [0, 0, 0, 1, 1, 1], weights=weights) == 0
    one = standardised_difference([0.1, 0.2, 0.4], [0, 1, 1], weights=[1.4, 0.6, 0.2])
    assert one is not None and np.isfinite(one)
