from __future__ import annotations

import numpy as np
import pytest
from survival_examples import CLOSED_FORM, data, reference

from analysis.estimators import (
    InvalidSurvivalInput,
    restricted_mean,
    restricted_mean_difference,
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


def test_refusals() -> None:
    with pytest.raises(InvalidSurvivalInput, match="beyond the last observed time"):
        restricted_mean_difference([1, 9, 2, 3], [1, 0, 1, 0], [0, 0, 1, 1], tau=5)
    with pytest.raises(InvalidSurvivalInput, match="the data have 3"):
        restricted_mean_difference([1, 2, 3], [1, 1, 1], [0, 1, 2], tau=1)
    with pytest.raises(InvalidSurvivalInput, match="positive"):
        restricted_mean([1, 2], [1, 1], tau=0)


def test_without_events_before_tau_the_groups_are_equal() -> None:
    difference = restricted_mean_difference([8, 9, 8, 9], [1, 0, 1, 0], [0, 0, 1, 1], tau=5)
    assert (difference.value, difference.std_error, difference.p_value) == (0, 0, 1)
