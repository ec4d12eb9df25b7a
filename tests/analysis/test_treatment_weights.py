from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_examples import ITERATIVE, data

from analysis.estimators import (
    InvalidSurvivalInput,
    cox,
    effective_sample_size,
    kaplan_meier,
    treatment_weights,
)

COVARIATES = ["age", "meno", "size", "grade", "nodes", "log_pgr", "log_er"]


def gbsg() -> pd.DataFrame:
    frame = data("gbsg")
    return frame.assign(
        grade=frame["grade"].astype(str), log_pgr=np.log1p(frame.pgr), log_er=np.log1p(frame.er)
    )


# R 4.2.2, survival 3.5-3: ps <- glm(hormon ~ age + meno + size + factor(grade) + nodes +
# log(pgr+1) + log(er+1), binomial), stabilised weights, then
# coxph(Surv(rfstime, status) ~ hormon, weights = w, robust = TRUE) and, in each group,
# survfit(Surv(rfstime, status) ~ 1, weights = w, robust = TRUE) at 365, 1095 and 1825 days.
R_WEIGHTS = {"smallest": 0.561750402060, "largest": 2.689567727391, "sum": 686.519144432872}
R_EFFECTIVE = [418.782045083284, 202.072757643492]
R_COX = {"coefficient": -0.388925234499579, "robust": 0.137869923904892}
R_SURVIVAL = {
    0: [0.901074399937841, 0.602619712929656, 0.424516095162506],
    1: [0.935674703408519, 0.709451311589083, 0.594115223404333],
}
R_ERROR = {
    0: [0.0145401763734997, 0.0255268123363026, 0.0311063239533009],
    1: [0.0196354967400599, 0.0332825223709185, 0.0385487474689199],
}
R_MEDIAN = {0: 1528, 1: 2030}


def test_weights_and_weighted_estimates_are_those_of_r() -> None:
    frame = gbsg()
    found = treatment_weights(frame, treatment="hormon", covariates=COVARIATES)
    assert found.labels == (0, 1)
    assert found.weights.min() == pytest.approx(R_WEIGHTS["smallest"], rel=ITERATIVE)
    assert found.weights.max() == pytest.approx(R_WEIGHTS["largest"], rel=ITERATIVE)
    assert found.weights.sum() == pytest.approx(R_WEIGHTS["sum"], rel=ITERATIVE)
    np.testing.assert_allclose(found.groups["effective_sample_size"], R_EFFECTIVE, rtol=ITERATIVE)

    frame["weight"] = found.weights
    fit = cox(
        frame,
        duration="rfstime",
        event="status",
        covariates=["hormon"],
        weights="weight",
        robust=True,
    )
    assert fit.coefficients[0] == pytest.approx(R_COX["coefficient"], rel=ITERATIVE)
    assert fit.table["std_error"][0] == pytest.approx(R_COX["robust"], rel=ITERATIVE)
    for group, part in frame.groupby("hormon"):
        km = kaplan_meier(part.rfstime, part.status, weights=part.weight, sampling=True)
        at = km.survival_at([365, 1095, 1825])
        np.testing.assert_allclose(at["survival"], R_SURVIVAL[group], rtol=ITERATIVE)
        np.testing.assert_allclose(at["std_error"], R_ERROR[group], rtol=ITERATIVE)
        assert km.median().value == R_MEDIAN[group]


def test_balance_improves_in_every_covariate_that_lacked_it() -> None:
    found = treatment_weights(gbsg(), treatment="hormon", covariates=COVARIATES)
    lacking = found.balance["before"].abs() > 0.1
    assert lacking.sum() >= 3
    assert (found.balance["after"].abs() < 0.1).all()


def test_effect_in_the_treated_leaves_the_treated_alone() -> None:
    frame = gbsg()
    found = treatment_weights(frame, treatment="hormon", covariates=COVARIATES, estimand="att")
    treated = frame["hormon"] == 1
    assert (found.weights[treated] == 1).all()
    assert found.weights[~treated].sum() == pytest.approx((~treated).sum())


def test_a_logistic_propensity_balances_what_it_was_fitted_to() -> None:
    # The score equations: weighted by att, the untreated have the treated's mean exactly in a
    # saturated model.
    frame = pd.DataFrame({"arm": [0, 0, 0, 0, 1, 1, 1, 1, 1], "x": list("aabbabbba")})
    found = treatment_weights(frame, treatment="arm", covariates=["x"], estimand="att")
    assert found.balance["after"][0] == pytest.approx(0, abs=1e-7)


def test_truncation_cuts_at_the_quantiles() -> None:
    frame = gbsg()
    plain = treatment_weights(frame, treatment="hormon", covariates=COVARIATES)
    cut = treatment_weights(frame, treatment="hormon", covariates=COVARIATES, truncate=(0.01, 0.99))
    low, high = np.quantile(plain.weights, [0.01, 0.99])
    assert (cut.weights.min(), cut.weights.max()) == (low, high)
    assert cut.truncated == np.sum((plain.weights < low) | (plain.weights > high)) > 0
    assert "cut at quantiles 0.01 and 0.99" in cut.method


def test_separation_is_met_with_firth_and_said() -> None:
    frame = pd.DataFrame({"arm": [0, 0, 0, 0, 0, 1, 1, 1], "site": list("aaabbbbb")})
    found = treatment_weights(frame, treatment="arm", covariates=["site"])
    assert found.propensity_model.separated
    assert "Firth" in found.method
    assert np.isfinite(found.weights).all()


def test_equal_weights_that_are_whole_numbers_are_still_sampling_weights() -> None:
    time, event = [1, 2, 3, 4], [1, 0, 1, 1]
    plain = kaplan_meier(time, event)
    twos = kaplan_meier(time, event, weights=[2, 2, 2, 2], sampling=True)
    frequencies = kaplan_meier(time, event, weights=[2, 2, 2, 2])
    assert twos.n == 4 and frequencies.n == 8
    np.testing.assert_allclose(twos.std_error[:2], plain.std_error[:2], rtol=1e-12)
    np.testing.assert_allclose(frequencies.std_error[:2], plain.std_error[:2] / np.sqrt(2))


def test_effective_sample_size() -> None:
    assert effective_sample_size(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_sample_size(np.array([1.0, 3.0])) == pytest.approx(1.6)


def test_refusals() -> None:
    frame = pd.DataFrame({"arm": [0, 1, 2, 0], "x": [1, 2, 3, None]})
    with pytest.raises(InvalidSurvivalInput, match="the data have 3"):
        treatment_weights(frame, treatment="arm", covariates=["x"])
    with pytest.raises(InvalidSurvivalInput, match="values of x are missing"):
        treatment_weights(frame.assign(arm=[0, 1, 1, 0]), treatment="arm", covariates=["x"])
    with pytest.raises(InvalidSurvivalInput, match="no column named drug"):
        treatment_weights(frame, treatment="drug", covariates=["x"])
    with pytest.raises(InvalidSurvivalInput, match="at least one covariate"):
        treatment_weights(frame, treatment="arm", covariates=[])
    with pytest.raises(ValueError, match="ascending quantiles"):
        treatment_weights(frame, treatment="arm", covariates=["x"], truncate=(0.9, 0.1))


@pytest.mark.filterwarnings("error")
def test_a_propensity_of_one_is_no_division_by_zero() -> None:
    frame = pd.DataFrame({"x": np.arange(-50.0, 50)})
    frame["treated"] = frame.x > 0
    for estimand in ("ate", "att"):
        found = treatment_weights(frame, treatment="treated", covariates=["x"], estimand=estimand)
        assert found.propensity[-1] == 1
        assert np.isfinite(found.weights).all()
