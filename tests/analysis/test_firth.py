from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from survival_examples import ITERATIVE, data, reference

from analysis.estimators import InvalidSurvivalInput, firth, firth_cox
from analysis.estimators.cox import coefficient_table

FIRTH = reference()["firth"]
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mono_g_age": (
        "mono",
        {"duration": "time", "event": "event", "covariates": ["g", "age"]},
    ),
    "mono_g": ("mono", {"duration": "time", "event": "event", "covariates": ["g"]}),
    "breast": (
        "breast",
        {"duration": "TIME", "event": "CENS", "covariates": ["T", "N", "G", "CD"]},
    ),
    "ovarian": (
        "ovarian",
        {"duration": "futime", "event": "fustat", "covariates": ["age", "rx", "resid.ds"]},
    ),
    "heart_tv": (
        "heart",
        {
            "duration": "stop",
            "event": "event",
            "covariates": ["age", "surgery", "transplant"],
            "entry": "start",
        },
    ),
}


@pytest.mark.parametrize("key", MODELS)
def test_fit_is_that_of_coxphf(key: str) -> None:
    name, arguments = MODELS[key]
    fit, wanted = firth_cox(data(name), **arguments), FIRTH[key]
    assert fit.converged
    np.testing.assert_allclose(fit.coefficients, wanted["coef"], rtol=ITERATIVE)
    np.testing.assert_allclose(fit.table.std_error, wanted["se"], rtol=ITERATIVE)
    p_value = wanted.get("pl_p", wanted.get("p"))
    np.testing.assert_allclose(fit.table.p_value, p_value, rtol=ITERATIVE)
    if "pl_lower" in wanted:
        np.testing.assert_allclose(fit.table.lower, wanted["pl_lower"], rtol=ITERATIVE)
        np.testing.assert_allclose(fit.table.upper, wanted["pl_upper"], rtol=ITERATIVE)
    if "wald_p" in wanted:
        wald = coefficient_table(fit.table.term, fit.coefficients, fit.covariance, 0.95)
        for ours, theirs in (
            ("p_value", "wald_p"),
            ("lower", "wald_lower"),
            ("upper", "wald_upper"),
        ):
            np.testing.assert_allclose(wald[ours], wanted[theirs], rtol=ITERATIVE)
    if "loglik" in wanted:
        # coxphf standardises the covariates, which moves both penalised values by one constant.
        null, full = wanted["loglik"]
        assert fit.loglik - fit.loglik_null == pytest.approx(full - null, rel=ITERATIVE)


def test_z_and_p_agree() -> None:
    from scipy.stats import norm

    name, arguments = MODELS["mono_g_age"]
    table = firth_cox(data(name), **arguments).table
    np.testing.assert_allclose(2 * norm.sf(abs(table.z)), table.p_value)
    assert table.z[0] < 0 < table.z[1]


def test_penalised_score_is_the_gradient_of_the_penalised_likelihood() -> None:
    from analysis.estimators.cox import cox_design
    from analysis.estimators.firth import _penalised

    name, arguments = MODELS["heart_tv"]
    strata = cox_design(data(name), **arguments).strata
    beta = np.array([0.02, -0.5, 0.3])
    step = 1e-5
    numeric = [
        (
            _penalised(strata, beta + step * unit).loglik
            - _penalised(strata, beta - step * unit).loglik
        )
        / (2 * step)
        for unit in np.eye(3)
    ]
    np.testing.assert_allclose(_penalised(strata, beta).score, numeric, rtol=1e-5, atol=1e-6)


def test_refuses_what_cox_refuses() -> None:
    with pytest.raises(InvalidSurvivalInput, match="no events"):
        firth_cox(data("mono").query("g == 1"), duration="time", event="event", covariates=["age"])


@pytest.mark.filterwarnings("error")
def test_a_ratio_too_large_for_a_number_is_infinite() -> None:
    # R 4.2.2, coxphf 1.13.4: coxphf(Surv(futime, fustat) ~ small, ovarian)
    ovarian = data("ovarian")
    ovarian["small"] = (ovarian.age - ovarian.age.mean()) * 1e-6
    fit = firth_cox(ovarian, duration="futime", event="fustat", covariates=["small"])
    assert fit.coefficients[0] == pytest.approx(154546.052607172, rel=ITERATIVE)
    assert fit.table.upper[0] == np.inf
    assert fit.table.p_value[0] == pytest.approx(0.00022524048007555, rel=ITERATIVE)


@pytest.mark.filterwarnings("error")
def test_a_limit_that_the_profile_does_not_have_is_refused() -> None:
    # R's coxphf 1.13.4 warns and prints NA for the upper limits.
    frame = pd.DataFrame({"t": [14, 14, 2, 10, 3, 1], "e": [0, 0, 0, 1, 1, 1]})
    frame["x"] = [-1.275759, -0.451603, -1.918820, -1.361177, -0.889162, 2.755854]
    frame["z"] = [0, 0, 1, 1, 1, 0]
    with pytest.raises(InvalidSurvivalInput, match="too flat"):
        firth_cox(frame, duration="t", event="e", covariates=["x", "z"])


def test_a_profile_as_flat_as_rounding_does_not_go_on_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One event: far out no step gains more than rounding, and none is taken for convergence."""
    generator = np.random.default_rng(5)
    time, event = generator.exponential(24, 200) + 1, np.zeros(200, dtype=np.int64)
    event[generator.integers(200)] = 1
    frame = pd.DataFrame((generator.random((200, 2)) < 0.4).astype(int), columns=["a", "b"])
    frame = frame.assign(time=time, event=event, entry=generator.uniform(0, 1, 200) * time)
    looked_at = []
    penalised = firth._penalised

    def counted(*arguments: Any) -> Any:
        looked_at.append(None)
        return penalised(*arguments)

    monkeypatch.setattr(firth, "_penalised", counted)
    model = firth_cox(frame, duration="time", event="event", covariates=["a", "b"], entry="entry")
    assert len(looked_at) < 1000
    assert model.table["lower"].to_numpy() == pytest.approx([0.001516, 0.004548], abs=1e-6)
    assert model.table["upper"].to_numpy() == pytest.approx([8.284812, 24.854436], abs=1e-5)
