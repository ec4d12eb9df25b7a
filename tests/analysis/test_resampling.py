from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index
from survival_examples import data

from analysis.estimators import (
    InvalidSurvivalInput,
    corrected_concordance,
    cox,
    resampled_cox,
)

COVARIATES = ["karno", "age", "prior"]
MODEL = {"duration": "time", "event": "status", "covariates": COVARIATES}
RESAMPLES = 25


@pytest.fixture(scope="module")
def veteran() -> pd.DataFrame:
    return data("veteran")[["time", "status", *COVARIATES]].astype(float)


def repeated(frame: pd.DataFrame, drawn: np.ndarray) -> pd.DataFrame:
    return frame.iloc[np.repeat(np.arange(len(frame)), drawn)].reset_index(drop=True)


def lifelines_fit(frame: pd.DataFrame) -> np.ndarray:
    return CoxPHFitter().fit(frame, "time", "status").params_.to_numpy()


def lifelines_c(frame: pd.DataFrame, beta: np.ndarray) -> float:
    risk = frame[COVARIATES].to_numpy() @ beta
    return float(concordance_index(frame["time"], -risk, frame["status"]))


def test_every_resample_is_the_model_of_the_rows_drawn(veteran: pd.DataFrame) -> None:
    found = resampled_cox(veteran, **MODEL, n_resamples=RESAMPLES, seed=4)
    assert found.failed == 0
    assert (found.drawn.sum(axis=1) == len(veteran)).all()
    for drawn, coefficients in zip(found.drawn, found.coefficients, strict=True):
        rows = repeated(veteran, drawn)
        assert coefficients == pytest.approx(cox(rows, **MODEL).coefficients, rel=1e-8, abs=1e-10)
        assert coefficients == pytest.approx(lifelines_fit(rows), rel=1e-4, abs=1e-6)


def test_the_spread_of_the_resamples_is_near_the_standard_error(veteran: pd.DataFrame) -> None:
    found = resampled_cox(veteran, **MODEL, n_resamples=1000, seed=1)
    errors = cox(veteran, **MODEL).table["std_error"].to_numpy()
    assert found.coefficients.std(axis=0) == pytest.approx(errors, rel=0.2)


def test_optimism_is_that_of_a_loop_over_lifelines(veteran: pd.DataFrame) -> None:
    found = corrected_concordance(veteran, **MODEL, n_resamples=RESAMPLES, seed=4)
    drawn = resampled_cox(veteran, **MODEL, n_resamples=RESAMPLES, seed=4).drawn
    gains = []
    for counts in drawn:
        rows = repeated(veteran, counts)
        beta = lifelines_fit(rows)
        gains.append(lifelines_c(rows, beta) - lifelines_c(veteran, beta))
    assert found.apparent == pytest.approx(cox(veteran, **MODEL).concordance.value, rel=1e-12)
    assert found.optimism == pytest.approx(np.mean(gains), abs=2e-5)
    assert found.corrected == found.apparent - found.optimism
    assert 0 < found.optimism < 0.1


def test_noise_is_found_out() -> None:
    """Ten covariates that mean nothing: they seem to, until the optimism is taken off."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 10)), columns=[f"x{k}" for k in range(10)])
    frame["time"], frame["event"] = rng.exponential(size=60), rng.integers(0, 2, size=60)
    found = corrected_concordance(
        frame, duration="time", event="event", covariates=[f"x{k}" for k in range(10)]
    )
    assert found.apparent > 0.65
    assert found.corrected < 0.6


def test_a_resample_without_a_finite_estimate_is_counted_not_reported() -> None:
    """Of those treated one dies; where that one is not drawn, none does."""
    frame = pd.DataFrame({"time": range(1, 21), "event": [1] * 14 + [0] * 6, "treated": 0})
    frame.loc[[4, *range(14, 20)], "treated"] = 1
    names = {"duration": "time", "event": "event", "covariates": ["treated"]}
    found = resampled_cox(frame, **names, n_resamples=200, seed=2)
    without_death = found.drawn[:, 4] == 0
    assert 0 < without_death.sum() < 200
    assert np.isnan(found.coefficients[without_death]).all()
    assert np.isfinite(found.coefficients[~without_death]).mean() > 0.95
    assert found.failed == np.isnan(found.coefficients[:, 0]).sum()


def test_nothing_to_judge_is_refused() -> None:
    frame = pd.DataFrame({"time": [1, 2, 3, 4], "event": [1, 1, 0, 0], "x": [1, 1, 0, 0]})
    names = {"duration": "time", "event": "event", "covariates": ["x"]}
    with pytest.raises(InvalidSurvivalInput, match="no finite estimate to judge"):
        corrected_concordance(frame, **names, n_resamples=5)
    with pytest.raises(InvalidSurvivalInput, match="At least one resample"):
        resampled_cox(frame, **names, n_resamples=0)
    with pytest.raises(InvalidSurvivalInput, match="no events"):
        resampled_cox(frame.assign(event=0), **names)
