from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from cox_examples import COX, TIES, model, specification
from hypothesis import given, settings
from hypothesis import strategies as st
from survival_examples import ITERATIVE, data, reference

from analysis.estimators import InvalidSurvivalInput, cox


@pytest.mark.parametrize("key", COX)
def test_fit_is_that_of_r(key: str) -> None:
    fit, wanted = model(key), COX[key]
    assert (fit.n, fit.events) == (wanted["n"], wanted["nevent"])
    assert fit.converged
    assert not fit.monotone
    columns = {
        "coefficient": "coef",
        "std_error": "se",
        "hazard_ratio": "hr",
        "lower": "lower",
        "upper": "upper",
        "z": "z",
        "p_value": "p",
    }
    for ours, theirs in columns.items():
        np.testing.assert_allclose(fit.table[ours], wanted[theirs], rtol=ITERATIVE, err_msg=ours)
    assert fit.loglik_null == pytest.approx(wanted["loglik0"], rel=1e-12)
    assert fit.loglik == pytest.approx(wanted["loglik"], rel=1e-12)
    for test, key_of_r in ((fit.likelihood_ratio, "lr"), (fit.score, "score")):
        assert test.statistic == pytest.approx(wanted[key_of_r][0], rel=1e-9)
        assert test.degrees_of_freedom == wanted[key_of_r][1]
        assert test.p_value == pytest.approx(wanted[key_of_r][2], rel=1e-9)
    # R's summary rounds the Wald statistic to two decimals, but not its P.
    assert round(fit.wald.statistic, 2) == pytest.approx(wanted["wald"][0], abs=1e-9)
    assert fit.wald.p_value == pytest.approx(wanted["wald"][2], rel=ITERATIVE)
    assert fit.concordance.value == pytest.approx(wanted["concordance"], rel=1e-12)
    assert fit.concordance.std_error == pytest.approx(wanted["concordance_se"], rel=1e-9)
    assert fit.aic == pytest.approx(wanted["aic"], rel=1e-12)
    assert fit.events_per_variable == wanted["nevent"] / len(wanted["terms"])


@pytest.mark.parametrize("key", [key for key in COX if "naive_se" in COX[key]])
def test_model_based_errors_beside_robust_ones_are_those_of_r(key: str) -> None:
    frame, arguments = specification(key)
    arguments = {k: v for k, v in arguments.items() if k not in ("robust", "cluster")}
    fit = cox(frame, **arguments)
    np.testing.assert_allclose(fit.table.std_error, COX[key]["naive_se"], rtol=ITERATIVE)


def test_float_ties_are_ties() -> None:
    frame = pd.DataFrame({"t": [0.1 + 0.2, 0.3, 0.3, 1], "e": [1, 1, 1, 1], "x": [0, 1, 0, 1]})
    fit = cox(frame, duration="t", event="e", covariates=["x"])
    wanted = reference()["edge"]["float_ties_cox"]["efron"]
    assert fit.coefficients[0] == pytest.approx(wanted, rel=ITERATIVE)


def test_a_group_without_an_event_is_monotone() -> None:
    wanted = reference()["firth"]["mono_g_age"]
    fit = cox(data("mono"), duration="time", event="event", covariates=["g", "age"])
    assert fit.monotone
    assert not fit.converged
    assert fit.likelihood_ratio.statistic == pytest.approx(wanted["coxph_lr"][0], rel=ITERATIVE)
    assert fit.score.statistic == pytest.approx(wanted["coxph_score"][0], rel=ITERATIVE)
    assert fit.coefficients[1] == pytest.approx(wanted["coxph_coef"][1], rel=ITERATIVE)
    assert fit.table.std_error[1] == pytest.approx(wanted["coxph_se"][1], rel=ITERATIVE)
    assert fit.infinite == ("g",)
    # Where R stops on the way to infinity is a matter of rounding.
    assert fit.coefficients[0] == pytest.approx(wanted["coxph_coef"][0], rel=0.1)


def test_a_covariate_that_orders_the_deaths_is_monotone() -> None:
    frame = pd.DataFrame({"t": np.arange(1, 9), "e": 1, "x": np.arange(8, 0, -1)})
    assert cox(frame, duration="t", event="e", covariates=["x"]).infinite == ("x",)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 1), st.integers(0, 3)), min_size=3, max_size=9
    ),
    st.sampled_from(TIES),
)
def test_monotone_is_said_exactly_when_no_finite_maximum_exists(
    rows: list[tuple[int, int, int]], ties: str
) -> None:
    frame = pd.DataFrame(rows, columns=["t", "e", "x"])
    highest, lowest, contrast = True, True, False
    for time in frame.t[frame.e == 1].unique():
        at_risk = frame.x[frame.t >= time].sort_values()
        dead = frame.x[(frame.t == time) & (frame.e == 1)]
        # With exact ties the dead of one time are compared as a set.
        sets = (
            (at_risk.tail(len(dead)).sum(), at_risk.head(len(dead)).sum(), dead.sum())
            if ties == "exact"
            else (at_risk.max() * len(dead), at_risk.min() * len(dead), dead.sum())
        )
        most, least, own = sets
        highest &= own == most
        lowest &= own == least
        contrast |= most != least
    if not contrast:
        return
    fit = cox(frame, duration="t", event="e", covariates=["x"], ties=ties)
    assert fit.monotone == (highest or lowest)
    assert fit.converged != fit.monotone


def test_ever_never_and_landmark_of_the_stanford_hearts() -> None:
    rows = data("jasa1")
    patients = rows.groupby("id").agg(
        futime=("stop", "max"), fustat=("event", "max"), ever=("transplant", "max")
    )
    patients["wait"] = rows[rows.transplant == 1].set_index("id").start
    alive = patients[patients.futime > 30].assign(
        futime=lambda d: d.futime - 30, ever=lambda d: (d.wait <= 30) * 1
    )
    for frame, key in ((patients, "ever_never"), (alive, "landmark30")):
        wanted = reference()["immortal_time"]["stanford"][key]
        fit = cox(frame, duration="futime", event="fustat", covariates=["ever"])
        row = fit.table.iloc[0]
        assert fit.n == wanted["n"]
        assert row.hazard_ratio == pytest.approx(wanted["hr"], rel=ITERATIVE)
        assert row.lower == pytest.approx(wanted["lower"], rel=ITERATIVE)
        assert row.upper == pytest.approx(wanted["upper"], rel=ITERATIVE)
        assert row.p_value == pytest.approx(wanted["p"], rel=ITERATIVE)


def test_a_covariate_in_tiny_units_is_no_constant() -> None:
    lung = data("lung").assign(age=lambda d: d.age * 1e-9)
    fit = cox(lung, **LUNG)
    plain = cox(data("lung"), **LUNG)
    assert fit.coefficients[0] * 1e-9 == pytest.approx(plain.coefficients[0], rel=1e-9)


def test_a_covariate_that_varies_between_strata_only_is_refused() -> None:
    veteran = data("veteran").assign(small=lambda d: (d.celltype == "smallcell") * 1.1)
    with pytest.raises(InvalidSurvivalInput, match="small does not vary"):
        cox(
            veteran,
            duration="time",
            event="status",
            covariates=["karno", "small"],
            strata="celltype",
        )


def test_immortal_time_of_the_stanford_hearts() -> None:
    heart = data("heart")
    heart["transplant"] = heart.transplant.astype(int)
    wanted = reference()["immortal_time"]["stanford"]["time_dependent"]
    row = cox(
        heart, duration="stop", event="event", covariates=["transplant"], entry="start"
    ).table.iloc[0]
    assert row.hazard_ratio == pytest.approx(wanted["hr"], rel=ITERATIVE)
    assert (row.lower, row.upper) == pytest.approx(
        (wanted["lower"], wanted["upper"]), rel=ITERATIVE
    )
    assert row.p_value == pytest.approx(wanted["p"], rel=ITERATIVE)


@pytest.mark.parametrize("ties", TIES)
def test_splitting_a_follow_up_changes_nothing(ties: str) -> None:
    veteran = data("veteran").assign(start=0)
    whole = cox(veteran, duration="time", event="status", covariates=["karno"], ties=ties)
    early = veteran[veteran.time > 50].assign(time=50, status=0)
    late = veteran.assign(start=np.where(veteran.time > 50, 50, 0))
    split = cox(
        pd.concat([early, late]),
        duration="time",
        event="status",
        covariates=["karno"],
        entry="start",
        ties=ties,
    )
    assert split.coefficients == pytest.approx(whole.coefficients, rel=1e-9)
    assert split.loglik == pytest.approx(whole.loglik, rel=1e-10)
    assert split.concordance.value == pytest.approx(whole.concordance.value, rel=1e-12)


def test_strata_may_be_several_columns() -> None:
    veteran = data("veteran")
    arguments = {"duration": "time", "event": "status", "covariates": ["karno"]}
    both = cox(veteran, **arguments, strata=["celltype", "trt"])
    joined = veteran.assign(cell=veteran.celltype + veteran.trt.astype(str))
    assert both.coefficients == pytest.approx(cox(joined, **arguments, strata="cell").coefficients)


LUNG: dict[str, Any] = {"duration": "time", "event": "event", "covariates": ["age"]}


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"age": 60}, {}, "age has one level only"),
        ({"event": 0}, {}, "no events"),
        ({"age": "old"}, {}, "values of age must be numbers"),
        ({}, {"covariates": ["ph.ecog"]}, "1 of 228 values of ph.ecog are missing"),
        ({}, {"covariates": ["weight"]}, "no column named weight"),
        ({}, {"covariates": []}, "at least one covariate"),
        ({}, {"covariates": ["age", "age"]}, "named twice"),
        ({}, {"covariates": ["sex", "status", "event"]}, "linearly dependent"),
        ({}, {"strata": "inst"}, "values of inst are missing"),
        ({}, {"ties": "exact", "robust": True}, "not defined with weights"),
        ({"hospital": 1}, {"cluster": "hospital"}, "robust variance of age is zero"),
    ],
)
def test_bad_models_are_refused(
    change: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSurvivalInput, match=message):
        cox(data("lung").assign(**change), **{**LUNG, **arguments})


def test_fewer_clusters_than_coefficients_lower_the_rank_of_the_wald_test() -> None:
    # R 4.2.2, survival 3.5-3: coxph(Surv(futime, fustat) ~ age + rx, ovarian, cluster = half)$var
    ovarian = data("ovarian").assign(half=lambda d: np.arange(len(d)) % 2)
    names = {"duration": "futime", "event": "fustat", "covariates": ["age", "rx"]}
    fit = cox(ovarian, **names, cluster="half")
    wanted = [[0.00337599028637881, 0.0235707682576755], [0.0235707682576755, 0.1645683396953664]]
    np.testing.assert_allclose(fit.covariance, wanted, rtol=ITERATIVE)
    assert fit.wald.degrees_of_freedom == 1
    assert np.isfinite(fit.wald.statistic)


def test_levels_of_equal_coefficients_are_tied_predictors() -> None:
    # R 4.2.2, survival 3.5-3: coxph(Surv(t, e) ~ a + b)$concordance
    frame = pd.DataFrame({"t": [2, 2, 2, 3, 2, 1, 3, 2, 1], "e": [0, 0, 1, 1, 1, 0, 1, 1, 0]})
    frame["a"], frame["b"] = np.repeat([0, 1, 0], 3), np.repeat([0, 0, 1], 3)
    found = cox(frame, duration="t", event="e", covariates=["a", "b"]).concordance
    assert found.value == pytest.approx(0.583333333333333, rel=1e-9)
    assert found.std_error == pytest.approx(0.184779648550695, rel=1e-9)


def test_a_large_finite_estimate_is_not_taken_for_infinite() -> None:
    # R 4.2.2, survival 3.5-3: coxph(Surv(s, t, e) ~ x + z, control = coxph.control(eps = 1e-11,
    # iter.max = 100)). Rounding keeps Newton's steps above the tolerance that ends them.
    frame = pd.DataFrame(
        {
            "s": [7.861, 6.255, 8.454, -1, -1, 0.675, -1, -1, -1, -1],
            "t": [8.454, 17.64, 14.583, 9.2, 0.004, 2.301, 15.946, 4.718, 6.34, 0.675],
            "e": [1, 1, 1, 0, 1, 1, 0, 1, 1, 1],
            "x": [-1.053, -0.231, 0.16, -0.431, 4.193, 0.951, -0.476, 0.479, 0.623, -0.076],
            "z": [1, 0, 1, 0, 0, 0, 0, 0, 0, 1],
        }
    )
    fit = cox(frame, duration="t", event="e", entry="s", covariates=["x", "z"])
    assert (fit.monotone, fit.converged, fit.infinite) == (False, True, ())
    np.testing.assert_allclose(fit.coefficients, [5.32092062015744, 13.978665706982], rtol=1e-5)
    np.testing.assert_allclose(fit.table.std_error, [4.46650274779383, 56.894608646286], rtol=1e-5)


@pytest.mark.filterwarnings("error")
def test_a_monotone_likelihood_gives_numbers() -> None:
    frame = pd.DataFrame({"t": [5, 4, 4, 2], "e": [0, 1, 1, 0], "z": [0, 1, 0, 1]})
    frame["x"] = [0.5, -2.6, -1.5, 0.6]
    names = {"duration": "t", "event": "e", "covariates": ["x", "z"]}
    fit = cox(frame, **names, robust=True)
    assert fit.monotone
    assert not fit.table.isna().any(axis=None)


@pytest.mark.filterwarnings("error")
def test_exact_ties_tell_a_monotone_likelihood_from_too_many_ties() -> None:
    frame = pd.DataFrame({"t": [2, 6, 6, 1, 2, 2, 2], "e": [1, 0, 0, 0, 1, 1, 1]})
    frame["x"], frame["z"] = [-0.1, 1, 0, 0.5, -1.9, 0.1, -0.9], [0, 0, 0, 1, 0, 1, 1]
    names = {"duration": "t", "event": "e", "covariates": ["x", "z"]}
    assert cox(frame, **names, ties="exact").monotone
    many = pd.DataFrame({"t": np.repeat([1, 2], 550), "e": np.repeat([1, 0], 550)})
    many["x"], many["z"] = np.arange(1100) % 7, np.arange(1100) % 2
    with pytest.raises(InvalidSurvivalInput, match="Too many deaths are tied"):
        cox(many, **names, ties="exact")


def test_a_covariate_without_contrast_at_any_event_is_refused() -> None:
    frame = pd.DataFrame({"t": [1, 2, 3, 4], "e": [0, 1, 1, 1], "x": [1, 0, 0, 0]})
    with pytest.raises(InvalidSurvivalInput, match="does not vary among those at risk"):
        cox(frame, duration="t", event="e", covariates=["x"])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(TIES))
def test_shifting_and_scaling_a_covariate(seed: int, ties: str) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"t": rng.integers(1, 15, 40), "e": rng.integers(0, 2, 40)})
    frame["x"] = rng.normal(size=40)
    frame["moved"] = 1000 - 3 * frame.x
    frame.loc[0, "e"] = 1
    one = cox(frame, duration="t", event="e", covariates=["x"], ties=ties)
    other = cox(frame, duration="t", event="e", covariates=["moved"], ties=ties)
    assert one.coefficients[0] == pytest.approx(-3 * other.coefficients[0], rel=1e-6, abs=1e-9)
    assert one.loglik == pytest.approx(other.loglik, rel=1e-9)
