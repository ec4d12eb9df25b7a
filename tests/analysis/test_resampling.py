from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils import concordance_index
from survival_examples import data

from analysis.estimators import (
    Candidates,
    InvalidSurvivalInput,
    corrected_concordance,
    cox,
    resampled_cox,
    selected_by_log_rank,
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


@pytest.fixture(scope="module")
def selected() -> tuple[pd.DataFrame, Candidates]:
    """Two groups that matter, four that do not, some labels unknown.

    In the order of the labels, so that those who are alike without them are drawn in the same order
    with them.
    """
    rng = np.random.default_rng(5)
    labels = pd.DataFrame({f"g{k}": rng.choice(list("abc")[: 2 + k % 2], 120) for k in range(6)})
    labels["g5"] = labels["g5"].where(np.arange(120) % 10 > 0)
    labels = labels.sort_values(list(labels), na_position="first", ignore_index=True)
    groups = {str(name): column for name, column in labels.items()}
    hazard = np.exp((groups["g0"] == "b") + 0.9 * (groups["g1"] == "c"))
    frame = pd.DataFrame({"time": np.ceil(rng.exponential(30, 120) / hazard) + 1})
    frame["status"] = (rng.integers(0, 4, 120) > 0).astype(int)
    candidates = Candidates(groups)
    for name in selected_by_log_rank(frame, duration="time", event="status", candidates=candidates):
        for level in groups[name].value_counts().index[1:]:
            frame[f"{name} {level}"] = (groups[name] == level).astype(int)
    return frame, candidates


def test_selection_is_repeated_in_every_resample(
    selected: tuple[pd.DataFrame, Candidates],
) -> None:
    """As a loop over lifelines: its log-rank tests, then its Cox model of what they select."""
    frame, candidates = selected
    names = {"duration": "time", "event": "status", "covariates": list(frame.columns[2:])}
    found = corrected_concordance(
        frame, **names, candidates=candidates, n_resamples=RESAMPLES, seed=4
    )
    drawn = resampled_cox(frame, **names, n_resamples=RESAMPLES, seed=4).drawn
    labels = pd.DataFrame(candidates.labels)
    gains, how_many = [], set()
    for counts in drawn:
        rows = repeated(frame[["time", "status"]].join(labels), counts)
        chosen = []
        for name in labels:
            own = rows.dropna(subset=[name])
            test = multivariate_logrank_test(own["time"], own[name], own["status"])
            chosen += [name] if test.p_value < 0.05 else []
        how_many.add(len(chosen))
        design = frame[["time", "status"]].join(labels[chosen]).dropna()
        for name in chosen:
            for level in labels[name].value_counts().index[1:]:
                design[f"{name} {level}"] = (design[name] == level).astype(int)
        design = design.drop(columns=chosen)
        resample = repeated(design, counts[design.index])
        beta = lifelines_fit(resample)
        judged = [
            concordance_index(one["time"], -(one.to_numpy()[:, 2:] @ beta), one["status"])
            for one in (resample, design)
        ]
        gains.append(judged[0] - judged[1])
    assert len(how_many) > 1
    assert found.optimism == pytest.approx(np.mean(gains), abs=2e-5)
    fixed = corrected_concordance(frame, **names, n_resamples=RESAMPLES, seed=4)
    assert fixed.apparent == found.apparent
    assert fixed.corrected > found.corrected


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
    judged = corrected_concordance(frame, **names, n_resamples=200, seed=2)
    assert judged.penalised == found.failed


def test_the_order_of_the_rows_changes_no_draw(selected: tuple[pd.DataFrame, Candidates]) -> None:
    frame, candidates = selected
    names = {"duration": "time", "event": "status", "covariates": list(frame.columns[2:])}
    other = np.random.default_rng(1).permutation(len(frame))
    shuffled = Candidates({name: one.iloc[other] for name, one in candidates.labels.items()})
    for mine, theirs in ((None, None), (candidates, shuffled)):
        found = corrected_concordance(frame, **names, candidates=mine, n_resamples=RESAMPLES)
        again = corrected_concordance(
            frame.iloc[other], **names, candidates=theirs, n_resamples=RESAMPLES
        )
        assert again.optimism == pytest.approx(found.optimism, rel=1e-9)


def test_nothing_to_judge_is_refused() -> None:
    frame = pd.DataFrame({"time": [1, 2, 3, 4], "event": [1, 1, 0, 0], "x": [1, 1, 0, 0]})
    names = {"duration": "time", "event": "event", "covariates": ["x"]}
    with pytest.raises(InvalidSurvivalInput, match="no finite estimate to judge"):
        corrected_concordance(frame, **names, n_resamples=5)
    with pytest.raises(InvalidSurvivalInput, match="At least one resample"):
        resampled_cox(frame, **names, n_resamples=0)
    with pytest.raises(InvalidSurvivalInput, match="no events"):
        resampled_cox(frame.assign(event=0), **names)
