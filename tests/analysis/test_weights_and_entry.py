"""Late entry and weights mean the same to every estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from survival_examples import data

from analysis.estimators import (
    InvalidSurvivalInput,
    aalen_johansen,
    cox,
    fine_gray,
    firth_cox,
    gray_test,
    kaplan_meier,
    log_rank,
    max_combo,
    pairwise_log_rank,
    restricted_mean_difference,
    restricted_mean_ratio,
    reverse_kaplan_meier,
    turnbull,
    uno_concordance,
)


def sample() -> pd.DataFrame:
    """300 patients with late entry, ties, two causes and three groups."""
    rng = np.random.default_rng(20)
    frame = pd.DataFrame({"entry": rng.integers(0, 30, 300), "group": rng.integers(0, 3, 300)})
    frame["time"] = frame.entry + rng.integers(1, 90, 300)
    frame["cause"] = rng.choice([0, 1, 2], 300, p=[0.3, 0.4, 0.3])
    frame["event"] = (frame.cause > 0).astype(int)
    frame["stratum"] = rng.integers(0, 2, 300)
    frame["x"] = rng.normal(size=300).round(2)
    frame["count"] = rng.integers(1, 4, 300)
    frame["weight"] = rng.uniform(0.4, 2.5, 300).round(2)
    return frame


def two(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame.group < 2]


Estimator = Callable[[pd.DataFrame, dict[str, Any]], list[float]]

ESTIMATORS: dict[str, Estimator] = {
    "kaplan_meier": lambda f, a: (
        kaplan_meier(f.time, f.event, entry=f.entry, **a).band().to_numpy().ravel().tolist()
    ),
    "reverse_kaplan_meier": lambda f, a: reverse_kaplan_meier(
        f.time, f.event, entry=f.entry, **a
    ).survival.tolist(),
    "aalen_johansen": lambda f, a: np.ravel(
        [
            (fit := aalen_johansen(f.time, f.cause, entry=f.entry, **a)).incidence,
            fit.std_error,
        ]
    ).tolist(),
    "log_rank": lambda f, a: [
        log_rank(f.time, f.event, f.group, entry=f.entry, strata=f.stratum, **a).statistic,
        log_rank(f.time, f.event, f.group, entry=f.entry, weighting="tarone-ware", **a).statistic,
        log_rank(f.time, f.event, f.group, entry=f.entry, trend=True, **a).statistic,
    ],
    "pairwise_log_rank": lambda f, a: pairwise_log_rank(
        f.time, f.event, f.group, entry=f.entry, strata=f.stratum, **a
    ).p_adjusted.tolist(),
    "max_combo": lambda f, a: [max_combo(f.time, f.event, f.group, entry=f.entry, **a).statistic],
    "restricted_mean_difference": lambda f, a: [
        (
            found := restricted_mean_difference(
                f.time, f.event, f.group, tau=60, entry=f.entry, **a
            )
        ).value,
        found.std_error,
    ],
    "restricted_mean_ratio": lambda f, a: [
        restricted_mean_ratio(f.time, f.event, f.group, tau=60, entry=f.entry, **a).value
    ],
    "fine_gray": lambda f, a: (
        fine_gray(
            f.assign(**a),
            duration="time",
            cause="cause",
            covariates=["x"],
            entry="entry",
            weights="weights" if a else None,
        )
        .table[["coefficient", "std_error", "p_value"]]
        .to_numpy()
        .ravel()
        .tolist()
    ),
    "turnbull": lambda f, a: (
        turnbull(f.time, np.where(f.event, f.time + 5, np.inf), entry=f.entry, **a)
        .table["survival"]
        .tolist()
    ),
    "firth_cox": lambda f, a: (
        firth_cox(
            f.assign(**a),
            duration="time",
            event="event",
            covariates=["x"],
            entry="entry",
            strata="stratum",
            weights="weights" if a else None,
        )
        .table[["coefficient", "std_error", "lower", "upper", "p_value"]]
        .to_numpy()
        .ravel()
        .tolist()
    ),
}
#: Not defined with late entry.
WITHOUT_ENTRY: dict[str, Estimator] = {
    "gray_test": lambda f, a: [
        (found := gray_test(f.time, f.cause, f.group, strata=f.stratum, **a)).statistic,
        *found.table["expected"],
    ],
    "uno_concordance": lambda f, a: [
        (found := uno_concordance(f.time, f.event, f.x, **a)).value,
        found.std_error,
    ],
}
TWO_GROUPS = {"max_combo", "restricted_mean_difference", "restricted_mean_ratio"}


@pytest.mark.parametrize("name", [*ESTIMATORS, *WITHOUT_ENTRY])
def test_whole_weights_are_repeated_rows(name: str) -> None:
    estimator = {**ESTIMATORS, **WITHOUT_ENTRY}[name]
    frame = two(sample()) if name in TWO_GROUPS else sample()
    repeated = frame.loc[frame.index.repeat(frame["count"])].reset_index(drop=True)
    weighted = estimator(frame, {"weights": frame["count"]})
    np.testing.assert_allclose(weighted, estimator(repeated, {}), rtol=1e-7, atol=1e-9)
    assert not np.allclose(weighted, estimator(frame, {}), equal_nan=True)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "firth_cox"])
def test_equal_sampling_weights_change_nothing(name: str) -> None:
    frame = two(sample()) if name in TWO_GROUPS else sample()
    # With late entry the jackknife is not Greenwood's, of a large and of a small risk set alike.
    frame = frame.assign(entry=0)
    halves = ESTIMATORS[name](frame, {"weights": np.full(len(frame), 0.5)})
    plain = ESTIMATORS[name](frame, {})
    np.testing.assert_allclose(halves, plain, rtol=2e-2 if name == "aalen_johansen" else 1e-7)


def test_late_entry_is_no_detail() -> None:
    frame = sample()
    for name, estimator in ESTIMATORS.items():
        own = two(frame) if name in TWO_GROUPS else frame
        assert estimator(own, {}) != estimator(own.assign(entry=0), {})


def test_weighted_log_rank_is_the_double_sum_of_the_paper() -> None:
    """Xie and Liu 2005, equations 3 and 5, written as loops over event times and patients."""
    frame = two(sample())
    score = variance = 0.0
    for time in np.unique(frame.time[frame.event == 1]):
        at_risk = frame[(frame.time >= time) & (frame.entry < time)]
        dead = at_risk[(at_risk.time == time) & (at_risk.event == 1)]
        weight_of_1 = at_risk.weight[at_risk.group == 1].sum()
        total = at_risk.weight.sum()
        score += dead.weight[dead.group == 1].sum() - dead.weight.sum() * weight_of_1 / total
        n, d = len(at_risk), len(dead)
        if n > 1:
            share = weight_of_1 / total
            spread = sum(
                (weight * ((group == 1) - share)) ** 2
                for weight, group in zip(at_risk.weight, at_risk.group, strict=True)
            )
            variance += d * (n - d) / (n * (n - 1)) * spread
    found = log_rank(frame.time, frame.event, frame.group, entry=frame.entry, weights=frame.weight)
    assert found.statistic == pytest.approx(score**2 / variance, rel=1e-10)


@pytest.mark.parametrize("late", [False, True])
def test_robust_error_of_an_incidence_is_the_brute_force_jackknife(late: bool) -> None:
    frame = sample().iloc[:120]
    entry = frame.entry if late else None
    fit = aalen_johansen(frame.time, frame.cause, entry=entry, weights=frame.weight)
    step, influence = 1e-5, []
    for row in range(len(frame)):
        nudged = frame.weight.to_numpy().copy()
        nudged[row] += step
        up = aalen_johansen(frame.time, frame.cause, entry=entry, weights=nudged).incidence
        influence.append(frame.weight.iloc[row] * (up - fit.incidence) / step)
    brute = np.sqrt(np.sum(np.square(influence), axis=0))
    known = fit.event_free > 0
    np.testing.assert_allclose(fit.std_error[known], brute[known], rtol=2e-3, atol=1e-7)


def test_one_cause_has_the_robust_error_of_kaplan_meier() -> None:
    lung = data("lung_w")
    fit = aalen_johansen(lung.time, lung.event, weights=lung.w)
    curve = kaplan_meier(lung.time, lung.event, weights=lung.w)
    np.testing.assert_allclose(fit.incidence[:, 0], 1 - curve.survival, rtol=1e-10, atol=1e-14)
    known = curve.survival > 0
    np.testing.assert_allclose(fit.std_error[known, 0], curve.std_error[known], rtol=1e-8)


def test_strata_of_firth_are_those_of_cox_in_large_samples() -> None:
    frame = pd.concat([sample()] * 20, ignore_index=True)
    arguments = {
        "duration": "time",
        "event": "event",
        "covariates": ["x"],
        "entry": "entry",
        "strata": "stratum",
    }
    penalised = firth_cox(frame, **arguments)
    assert penalised.coefficients == pytest.approx(
        cox(frame, **arguments, ties="breslow").coefficients, abs=2e-4
    )
    apart = firth_cox(frame.assign(stratum=0), **arguments)
    assert penalised.coefficients != pytest.approx(apart.coefficients, abs=1e-5)


def test_firth_refuses_sampling_weights() -> None:
    with pytest.raises(InvalidSurvivalInput, match="sampling weights"):
        firth_cox(sample(), duration="time", event="event", covariates=["x"], weights="weight")


def test_weighted_incidence_is_that_of_r() -> None:
    """R 4.2.2, survival 3.5-3: survfit(Surv(time, factor(event * sex)) ~ 1, weights = w)."""
    lung = data("lung_w")
    fit = aalen_johansen(lung.time, lung.event * lung.sex, weights=lung.w)
    for cause, incidence, std_error in (
        (1, [0.241520676755, 0.389257045706], [0.0301312257237, 0.0357252377677]),
        (2, [0.0732887872232, 0.1909569239671], [0.0172988969854, 0.0304164872246]),
    ):
        found = fit.incidence_at([200, 365], cause)
        np.testing.assert_allclose(found.incidence, incidence, rtol=1e-10)
        np.testing.assert_allclose(found.std_error, std_error, rtol=1e-10)
