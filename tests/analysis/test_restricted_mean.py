from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_examples import CLOSED_FORM, data, reference

from analysis.estimators import (
    InvalidSurvivalInput,
    adjusted_restricted_mean_difference,
    restricted_mean,
    restricted_mean_difference,
    restricted_mean_ratio,
)

RMST = reference()["rmst"]


def example(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if name == "colon_death_levfu":
        colon = data("colon")
        colon = colon[(colon.etype == 2) & (colon.rx != "Lev")]
        return colon.time.to_numpy(), colon.status.to_numpy(), (colon.rx == "Lev+5FU").to_numpy()
    file, time, event, group = {
        "veteran_trt": ("veteran", "time", "status", "trt"),
        "gbsg_hormon": ("gbsg", "rfstime", "status", "hormon"),
        "lung_sex": ("lung", "time", "event", "sex"),
        "rossi_fin": ("ll_rossi", "week", "arrest", "fin"),
    }[name]
    frame = data(file)
    return frame[time].to_numpy(), frame[event].to_numpy(), frame[group].to_numpy()


@pytest.mark.parametrize("name", [name for name in RMST if name != "lung_sex_adj_age"])
def test_means_and_difference_are_those_of_survrm2(name: str) -> None:
    time, event, group = example(name)
    wanted = RMST[name]
    for arm, label in zip(("arm0", "arm1"), np.unique(group), strict=True):
        mean = restricted_mean(time[group == label], event[group == label], tau=wanted["tau"])
        assert mean.value == pytest.approx(wanted[arm]["rmst"], rel=CLOSED_FORM)
        assert mean.std_error == pytest.approx(wanted[arm]["se"], rel=CLOSED_FORM)
    difference = restricted_mean_difference(time, event, group, tau=wanted["tau"])
    assert difference.value == pytest.approx(wanted["diff"]["est"], rel=1e-8)
    assert difference.lower == pytest.approx(wanted["diff"]["lower"], rel=1e-8)
    assert difference.upper == pytest.approx(wanted["diff"]["upper"], rel=1e-8)
    assert difference.p_value == pytest.approx(wanted["diff"]["p"], rel=1e-8)
    ratio = restricted_mean_ratio(time, event, group, tau=wanted["tau"])
    assert ratio.value == pytest.approx(wanted["ratio"]["est"], rel=CLOSED_FORM)
    assert ratio.lower == pytest.approx(wanted["ratio"]["lower"], rel=1e-8)
    assert ratio.upper == pytest.approx(wanted["ratio"]["upper"], rel=1e-8)
    assert ratio.p_value == pytest.approx(wanted["ratio"]["p"], rel=1e-8)


def test_adjusted_difference_is_that_of_survrm2() -> None:
    lung, wanted = data("lung"), RMST["lung_sex_adj_age"]
    found = adjusted_restricted_mean_difference(
        lung.time, lung.event, lung.sex, lung[["age"]], tau=wanted["tau"]
    )
    assert found.value == pytest.approx(wanted["diff"], rel=CLOSED_FORM)
    assert found.std_error == pytest.approx(wanted["se"], rel=CLOSED_FORM)
    assert found.p_value == pytest.approx(wanted["p"], rel=1e-8)


def test_adjusted_difference_without_censoring_is_least_squares() -> None:
    generator = np.random.default_rng(3)
    group, x = np.repeat([0, 1], 30), generator.normal(size=60)
    time = generator.exponential(10, 60) + 3 * group
    found = adjusted_restricted_mean_difference(
        time, np.ones(60), group, pd.DataFrame({"x": x}), tau=8
    )
    design = np.column_stack([np.ones(60), group, x])
    wanted = np.linalg.lstsq(design, np.minimum(time, 8), rcond=None)[0][1]
    assert found.value == pytest.approx(wanted, rel=1e-9)


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="linearly dependent"):
        adjusted_restricted_mean_difference(
            [5, 6, 5, 6], [1, 1, 1, 1], [0, 0, 1, 1], pd.DataFrame({"x": [0, 0, 1, 1]}), tau=5
        )
    with pytest.raises(InvalidSurvivalInput, match="values of x are missing"):
        adjusted_restricted_mean_difference(
            [5, 6, 5, 6], [1, 1, 1, 1], [0, 0, 1, 1], pd.DataFrame({"x": [0, None, 1, 2]}), tau=5
        )
    with pytest.raises(InvalidSurvivalInput, match="no ratio"):
        restricted_mean_ratio([0, 0, 2, 3], [1, 1, 1, 1], [0, 0, 1, 1], tau=2)
    with pytest.raises(InvalidSurvivalInput, match="beyond the last observed time"):
        restricted_mean_difference([1, 9, 2, 3], [1, 0, 1, 0], [0, 0, 1, 1], tau=5)
    with pytest.raises(InvalidSurvivalInput, match="the data have 3"):
        restricted_mean_difference([1, 2, 3], [1, 1, 1], [0, 1, 2], tau=1)
    with pytest.raises(InvalidSurvivalInput, match="positive"):
        restricted_mean([1, 2], [1, 1], tau=0)


def test_without_events_before_tau_the_groups_are_equal() -> None:
    difference = restricted_mean_difference([8, 9, 8, 9], [1, 0, 1, 0], [0, 0, 1, 1], tau=5)
    assert (difference.value, difference.std_error, difference.p_value) == (0, 0, 1)


def test_a_difference_without_a_variance_has_no_limits() -> None:
    # All of one group die on day 2 and all of the other on day 5: the standard errors are zero.
    times, events, group = [2, 2, 5, 5], [1, 1, 1, 1], [0, 0, 1, 1]
    for compared in (restricted_mean_difference, restricted_mean_ratio):
        found = compared(times, events, group, tau=4)
        assert found.value == pytest.approx(2)
        assert (found.lower, found.upper, found.std_error, found.p_value) == (None,) * 4


def test_an_adjusted_difference_of_nothing_is_no_finding() -> None:
    # Everybody lives to the horizon; what least squares leaves over is rounding.
    generator = np.random.default_rng(5)
    found = adjusted_restricted_mean_difference(
        np.full(40, 9.0),
        np.zeros(40),
        np.arange(40) % 2,
        pd.DataFrame({"x": np.exp(5 * generator.normal(size=40))}),
        tau=7.3,
    )
    assert (found.value, found.std_error, found.p_value) == (0, 0, 1)
