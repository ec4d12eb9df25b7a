from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_examples import ITERATIVE, data, reference

from analysis.estimators import InvalidSurvivalInput, cox, fine_gray


def mgus2() -> pd.DataFrame:
    frame = data("mgus2")
    progressed = frame.pstat == 1
    return frame.assign(
        time=np.where(progressed, frame.ptime, frame.futime),
        cause=np.where(progressed, 1, 2 * frame.death),
        male=(frame.sex == "M").astype(int),
    )


def test_estimates_and_errors_are_those_of_cmprsk() -> None:
    wanted = reference()["competing"]["finegray_mgus2"]
    fit = fine_gray(mgus2(), duration="time", cause="cause", covariates=["age", "male"])
    assert fit.converged
    np.testing.assert_allclose(fit.table["coefficient"], wanted["coef"], rtol=ITERATIVE)
    np.testing.assert_allclose(fit.table["std_error"], wanted["se"], rtol=ITERATIVE)
    assert fit.loglik == pytest.approx(wanted["loglik"], rel=1e-9)
    assert (fit.n, fit.events, fit.competing) == (1384, 115, 860)


def test_without_competing_events_it_is_cox() -> None:
    lung = data("lung")
    fit = fine_gray(lung, duration="time", cause="event", covariates=["age", "sex"])
    robust = cox(
        lung,
        duration="time",
        event="event",
        covariates=["age", "sex"],
        ties="breslow",
        robust=True,
    )
    np.testing.assert_allclose(fit.table["coefficient"], robust.table["coefficient"], rtol=1e-9)
    np.testing.assert_allclose(fit.table["std_error"], robust.table["std_error"], rtol=1e-9)
    assert fit.loglik == pytest.approx(robust.loglik, rel=1e-12)


def test_without_censoring_those_with_a_competing_event_stay_at_risk_for_ever() -> None:
    generator = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "time": generator.integers(1, 40, 200),
            "cause": generator.integers(1, 3, 200),
            "x": generator.normal(size=200),
        }
    )
    fit = fine_gray(frame, duration="time", cause="cause", covariates=["x"])
    forever = frame.assign(
        time=np.where(frame.cause == 2, 99, frame.time), event=(frame.cause == 1).astype(int)
    )
    plain = cox(
        forever, duration="time", event="event", covariates=["x"], ties="breslow", robust=True
    )
    np.testing.assert_allclose(fit.table["coefficient"], plain.table["coefficient"], rtol=1e-9)
    np.testing.assert_allclose(fit.table["std_error"], plain.table["std_error"], rtol=1e-9)


@pytest.mark.parametrize(
    ("cause", "coefficients", "errors"),
    [
        (
            1,
            [-0.0229170418059579, -0.301027970084667],
            [0.00574322123219791, 0.197550230285305],
        ),
        (
            2,
            [0.0652429689199356, 0.417432535181951],
            [0.00424073728758009, 0.0813812516715801],
        ),
    ],
)
def test_late_entry_is_that_of_r(
    cause: int, coefficients: list[float], errors: list[float]
) -> None:
    """R 4.2.2, survival 3.5-3, on times without ties, with k = row number from 1:

    time + k/2000, entry = (7 k) %% 23 + k/3000, rows with entry < time;
    finegray(Surv(entry, time, factor(cause)) ~ ., id), then coxph(weights = fgwt, cluster = id).
    """
    frame = mgus2()
    number = np.arange(1, len(frame) + 1)
    frame = frame.assign(time=frame.time + number / 2000, entry=number * 7 % 23 + number / 3000)
    fit = fine_gray(
        frame[frame.entry < frame.time],
        duration="time",
        cause="cause",
        covariates=["age", "male"],
        entry="entry",
        cause_of_interest=cause,
    )
    np.testing.assert_allclose(fit.table["coefficient"], coefficients, rtol=ITERATIVE)
    np.testing.assert_allclose(fit.table["std_error"], errors, rtol=ITERATIVE)


def test_late_entry_without_competing_events_is_that_of_cox() -> None:
    frame = data("rotterdam_lt")
    arguments = {"covariates": ["age", "hormon"], "entry": "entry"}
    fit = fine_gray(frame, duration="dtime", cause="death", **arguments)
    robust = cox(frame, duration="dtime", event="death", ties="breslow", robust=True, **arguments)
    np.testing.assert_allclose(fit.table["coefficient"], robust.table["coefficient"], rtol=1e-9)
    np.testing.assert_allclose(fit.table["std_error"], robust.table["std_error"], rtol=1e-9)


def test_late_entry_takes_the_truncation_out_of_the_estimate() -> None:
    """Patients are seen only if they live to an entry; the model holds for the untruncated."""
    rng = np.random.default_rng(11)
    n = 40_000
    x = rng.integers(0, 2, n)
    # Incidence of the first cause 1 - (1 - 0.5 (1 - exp(-t)))^exp(0.7 x): Fine and Gray, section 5.
    ratio = np.exp(0.7 * x)
    ever = 1 - 0.5**ratio
    first = rng.uniform(size=n) < ever
    u = rng.uniform(size=n)
    by_first = -np.log(1 - 2 * (1 - (1 - u * ever) ** (1 / ratio)))
    time = np.where(first, by_first, rng.exponential(1, n))
    entry = rng.uniform(0, 1.2, n)
    censored = entry + rng.exponential(2, n)
    frame = pd.DataFrame(
        {
            "time": np.minimum(time, censored),
            "cause": np.where(time <= censored, np.where(first, 1, 2), 0),
            "x": x,
            "entry": entry,
        }
    )[time > entry]
    arguments = {"duration": "time", "cause": "cause", "covariates": ["x"]}
    honest = fine_gray(frame, entry="entry", **arguments).table.iloc[0]
    naive = fine_gray(frame, **arguments).table.iloc[0]
    assert abs(honest["coefficient"] - 0.7) < 3 * honest["std_error"]
    assert abs(naive["coefficient"] - 0.7) > 3 * naive["std_error"]


def test_refusals() -> None:
    frame = pd.DataFrame({"time": [1, 2, 3], "cause": [2, 0, 2], "x": [1, 2, 4]})
    with pytest.raises(InvalidSurvivalInput, match="cause of interest"):
        fine_gray(frame, duration="time", cause="cause", covariates=["x"])
    late = pd.DataFrame(
        {"time": [1, 9, 9, 10], "cause": [2, 1, 2, 1], "x": [1, 2, 4, 3], "entry": [0, 5, 5, 6]}
    )
    with pytest.raises(InvalidSurvivalInput, match="nobody else was under observation"):
        fine_gray(late, duration="time", cause="cause", covariates=["x"], entry="entry")
    with pytest.raises(InvalidSurvivalInput, match="no column named months"):
        fine_gray(frame, duration="months", cause="cause", covariates=["x"])
    with pytest.raises(InvalidSurvivalInput, match="one level only"):
        fine_gray(frame.assign(cause=1, y=1), duration="time", cause="cause", covariates=["x", "y"])


def test_a_robust_variance_of_zero_is_refused() -> None:
    # All who are at risk at the only time of an event have it. cmprsk prints errors of 0, P NaN.
    frame = pd.DataFrame(
        {"t": [4, 6, 6, 6, 2, 4], "c": [0, 1, 1, 1, 0, 0], "z": [0, 1, 0, 1, 0, 0]}
    ).assign(x=[0.2, 1.2, 2.4, 0.9, 1.3, -0.6])
    with pytest.raises(InvalidSurvivalInput, match="robust variance of x is zero"):
        fine_gray(frame, duration="t", cause="c", covariates=["x", "z"])


@pytest.mark.filterwarnings("error")
def test_a_monotone_likelihood_gives_numbers() -> None:
    frame = pd.DataFrame({"t": [6, 5, 2, 3], "c": [2, 1, 0, 1], "z": [0, 1, 1, 0]})
    frame["x"] = [-0.6, -1.3, 1.0, -0.5]
    fit = fine_gray(frame, duration="t", cause="c", covariates=["x", "z"])
    assert fit.monotone
    assert not fit.table.isna().any(axis=None)
