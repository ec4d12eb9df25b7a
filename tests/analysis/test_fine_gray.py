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


def test_refusals() -> None:
    frame = pd.DataFrame({"time": [1, 2, 3], "cause": [2, 0, 2], "x": [1, 2, 4]})
    with pytest.raises(InvalidSurvivalInput, match="cause of interest"):
        fine_gray(frame, duration="time", cause="cause", covariates=["x"])
    with pytest.raises(InvalidSurvivalInput, match="no column named months"):
        fine_gray(frame, duration="months", cause="cause", covariates=["x"])
    with pytest.raises(InvalidSurvivalInput, match="one level only"):
        fine_gray(frame.assign(cause=1, y=1), duration="time", cause="cause", covariates=["x", "y"])
