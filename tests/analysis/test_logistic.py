from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_examples import CLOSED_FORM, ITERATIVE, data

from analysis.estimators import InvalidSurvivalInput, logistic, model_columns

# A treatment that everybody with b = 1 has: the likelihood has no maximum.
SEPARATED = pd.DataFrame(
    {
        "a": [1, 2, 3, 4, 5, 2, 4, 6, 8, 9, 3, 6, 1.5, 7, 2.5],
        "b": [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1],
    }
)
OUTCOME = [0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1]


def test_maximum_likelihood_is_that_of_r() -> None:
    # R 4.2.2: glm(I(sex - 1) ~ age + ph.karno + pat.karno, binomial, lung)
    lung = data("lung").dropna(subset=["ph.karno", "pat.karno"])
    fit = logistic(lung.sex - 1, lung[["age", "ph.karno", "pat.karno"]])
    np.testing.assert_allclose(
        fit.table["coefficient"],
        [1.36367246249400487, -0.02823390975862046, -0.00736578283216298, 0.00722894756060073],
        rtol=ITERATIVE,
    )
    # glm's variance is from the step before the last.
    np.testing.assert_allclose(
        fit.table["std_error"],
        [1.5450527778346370, 0.0156427170724399, 0.0134662815002401, 0.0111097544078188],
        rtol=1e-5,
    )
    assert fit.loglik == pytest.approx(-148.616549652499, rel=CLOSED_FORM)
    assert (fit.separated, fit.penalised) == (False, False)


def test_separated_outcomes_get_firths_penalty() -> None:
    # firthmodels 0.8.2, which agrees with R's logistf.
    fit = logistic(OUTCOME, SEPARATED)
    assert (fit.separated, fit.penalised) == (True, True)
    np.testing.assert_allclose(
        fit.table["coefficient"], [-1.7005065220632511, 0.294885539929, 2.819313566269], rtol=2e-4
    )
    # Its errors are those of the data augmented by the penalty, weights p(1-p)(1+h) with h the
    # leverage; ours are from the information itself, and larger.
    x = np.column_stack([np.ones(len(OUTCOME)), SEPARATED])
    spread = fit.probability * (1 - fit.probability)
    inverse = np.linalg.inv((x.T * spread) @ x)
    np.testing.assert_allclose(fit.table["std_error"], np.sqrt(np.diag(inverse)), rtol=1e-8)
    leverage = spread * np.einsum("ni,ij,nj->n", x, inverse, x)
    augmented = np.linalg.inv((x.T * (spread * (1 + leverage))) @ x)
    np.testing.assert_allclose(
        np.sqrt(np.diag(augmented)), [1.351238075367, 0.297865600998, 1.516916780573], rtol=2e-4
    )
    assert fit.loglik == pytest.approx(-4.642657813904692, rel=1e-7)


def test_firth_of_a_two_by_two_table_adds_a_half() -> None:
    # Firth's estimate of a saturated model is the log odds ratio with 1/2 added to each cell.
    x = pd.DataFrame({"x": [0] * 10 + [1] * 8})
    y = [1] * 3 + [0] * 7 + [1] * 8
    fit = logistic(y, x)
    wanted = np.log((8.5 / 0.5) / (3.5 / 7.5))
    assert fit.table["coefficient"][1] == pytest.approx(wanted, rel=1e-8)


def test_columns_of_any_kind() -> None:
    frame = pd.DataFrame(
        {
            "age": [50, 60, 70],
            "stage": pd.Categorical(["II", "I", "II"], categories=["II", "I", "III"]),
            "male": [True, False, True],
        }
    )
    columns = model_columns(frame, ["age", "stage", "male"])
    assert columns.to_dict("list") == {
        "age": [50, 60, 70],
        "stage=I": [0, 1, 0],
        "male=True": [1, 0, 1],
    }


def test_refusals() -> None:
    x = pd.DataFrame({"x": [1.0, 2, 3, 4]})
    with pytest.raises(InvalidSurvivalInput, match="separate the outcomes"):
        logistic(OUTCOME, SEPARATED, firth=False)
    with pytest.raises(InvalidSurvivalInput, match="with and without the outcome"):
        logistic([1, 1, 1, 1], x)
    with pytest.raises(InvalidSurvivalInput, match="neither 0 nor 1"):
        logistic([1, 2, 1, 1], x)
    with pytest.raises(InvalidSurvivalInput, match="2 outcomes but 4 rows"):
        logistic([1, 0], x)
    with pytest.raises(InvalidSurvivalInput, match="linearly dependent"):
        logistic([1, 0, 1, 0], x.assign(y=2 * x.x))
    with pytest.raises(InvalidSurvivalInput, match="values of x are missing"):
        model_columns(pd.DataFrame({"x": [1, None]}), ["x"])
    with pytest.raises(InvalidSurvivalInput, match="one level only"):
        model_columns(pd.DataFrame({"x": ["a", "a"]}), ["x"])
    with pytest.raises(InvalidSurvivalInput, match="named twice"):
        model_columns(pd.DataFrame({"x": ["a", "b"]}), ["x", "x"])


def test_firths_steps_do_not_go_to_and_fro() -> None:
    # R 4.2.2, brglm2 0.9: glm(y ~ x1 + x2, binomial, method = brglmFit, type = "AS_mean")
    x = pd.DataFrame({"x1": [-0.1818955, -0.0998571, 0.4227013, -0.2740613, -0.0070024]})
    x["x2"] = [1, 1, 1, 0, 1]
    fit = logistic([1, 0, 1, 1, 0], x)
    np.testing.assert_allclose(
        fit.table["coefficient"],
        [1.61457094773394, 1.88263961042959, -1.73933976276802],
        rtol=ITERATIVE,
    )
