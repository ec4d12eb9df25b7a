from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cox_examples import COX, model
from survival_examples import ITERATIVE, data

from analysis.estimators import cox, firth_cox, proportional_hazards_test


@pytest.mark.parametrize("transform", ["km", "rank", "identity", "log"])
@pytest.mark.parametrize("key", [key for key in COX if "zph" in COX[key]])
def test_test_is_that_of_cox_zph(key: str, transform: str) -> None:
    wanted = COX[key]["zph"][transform]
    found = proportional_hazards_test(model(key), transform)
    np.testing.assert_allclose(found.statistic, wanted["chisq"], rtol=ITERATIVE)
    np.testing.assert_allclose(found.p_value, wanted["p"], rtol=ITERATIVE)
    assert found.degrees_of_freedom.tolist() == wanted["df"]
    assert found.term.iloc[-1] == "GLOBAL"
    assert len(found) == len(wanted["terms"])


def test_a_reversing_effect_is_found_and_a_constant_one_is_not() -> None:
    rng = np.random.default_rng(8)
    x = rng.integers(0, 2, 600)
    constant = rng.exponential(np.exp(-0.7 * x))
    early = rng.exponential(1, 600)
    reversing = np.where(x == 1, rng.weibull(2.5, 600), early)
    p_values = []
    for time in (constant, reversing):
        frame = pd.DataFrame({"t": time, "e": 1, "x": x})
        fit = cox(frame, duration="t", event="e", covariates=["x"])
        p_values.append(proportional_hazards_test(fit)["p_value"].iloc[-1])
    assert p_values[0] > 0.05
    assert p_values[1] < 1e-6


def test_models_without_the_test_are_refused() -> None:
    lung = data("lung")
    arguments = {"duration": "time", "event": "event", "covariates": ["sex"]}
    with pytest.raises(ValueError, match="no penalty"):
        proportional_hazards_test(firth_cox(lung, **arguments))
    with pytest.raises(ValueError, match="Efron's or Breslow's"):
        proportional_hazards_test(cox(lung, **arguments, ties="exact"))
    at_origin = lung.assign(time=lung.time - lung.time.min())
    with pytest.raises(ValueError, match="no logarithm"):
        proportional_hazards_test(cox(at_origin, **arguments), "log")


def test_a_monotone_fit_does_not_break_the_test() -> None:
    fit = cox(data("mono"), duration="time", event="event", covariates=["g", "age"])
    found = proportional_hazards_test(fit).set_index("term")
    assert np.isfinite(found.p_value).all()
    alone = cox(data("mono").query("g == 0"), duration="time", event="event", covariates=["age"])
    wanted = proportional_hazards_test(alone).set_index("term")
    assert found.loc["age", "degrees_of_freedom"] == wanted.loc["age", "degrees_of_freedom"] == 1


def test_no_covariate_is_lost_beside_one_of_far_larger_values() -> None:
    # R 4.2.2, survival 3.5-3: cox.zph(coxph(Surv(futime, fustat) ~ I(age * 1e5) + rx, ovarian))
    ovarian = data("ovarian")
    ovarian["age"] *= 1e5
    fit = cox(ovarian, duration="futime", event="fustat", covariates=["age", "rx"])
    found = proportional_hazards_test(fit)
    np.testing.assert_allclose(
        found.statistic, [0.224265642197981, 0.779606879884518, 0.918669928516088], rtol=ITERATIVE
    )
    assert found.degrees_of_freedom.tolist() == [1, 1, 2]
