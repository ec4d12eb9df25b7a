"""Logistic regression, by Firth's penalised likelihood where the groups are separated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.special import expit

from analysis.estimators.distributions import normal_multiplier, two_sided_normals
from analysis.estimators.risk_table import FloatArray, InvalidSurvivalInput, numeric, refuse

MAX_ITERATIONS = 200
MAX_HALVINGS = 30
#: Steps, on the scale of the standard error, that end the iteration.
STEP_TOLERANCE = 1e-9
#: Relative loss of log-likelihood that is rounding.
ROUNDING = 1e-12
COLLINEARITY_TOLERANCE = 1e-10
#: A direction separates if it gains more than this, in standard deviations, over all rows.
SEPARATION_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """A fitted model.

    Attributes
    ----------
    table : DataFrame
        term (the first is "intercept"), coefficient, std_error, odds_ratio, lower, upper, z,
        p_value (Wald).
    probability : float array, shape (n,)
        Fitted probability of the outcome.
    loglik : float
        Penalised if `penalised`.
    separated, penalised : bool
        Whether some combination of the covariates separates the outcomes, so that the likelihood
        has no maximum, and whether the estimates are Firth's.
    """

    table: pd.DataFrame
    probability: FloatArray
    loglik: float
    separated: bool
    penalised: bool


def logistic(
    outcome: np.typing.ArrayLike,
    columns: pd.DataFrame,
    *,
    firth: bool | None = None,
    level: float = 0.95,
) -> LogisticModel:
    """Fit a logistic regression by maximum likelihood, or Firth's (Firth 1993).

    Parameters
    ----------
    outcome : shape (n,)
        0 or 1.
    columns : shape (n, p)
        Numeric, as from `model_columns`; without an intercept, which is added.
    firth
        Penalise; by default only if the outcomes are separated (Heinze and Schemper 2002), which
        is decided exactly by a linear programme (Konis 2007). The intercept is penalised with
        the rest, as in R's logistf.

    Raises
    ------
    InvalidSurvivalInput
        For outcomes other than 0 and 1 or all alike, lengths that differ, values that are missing
        or not numeric, linearly dependent columns, and, with firth=False, separated outcomes.
    """
    y = numeric(outcome, "outcomes")
    refuse((y != 0) & (y != 1), "outcomes are missing or neither 0 nor 1")
    if len(y) != len(columns):
        raise InvalidSurvivalInput(f"There are {len(y)} outcomes but {len(columns)} rows.")
    if len(y) == 0 or y.min() == y.max():
        raise InvalidSurvivalInput("A logistic regression needs rows with and without the outcome.")
    x = _standardised(columns)
    separated = _separated(x, y)
    if separated and firth is False:
        raise InvalidSurvivalInput(
            "The covariates separate the outcomes, so the likelihood has no maximum; "
            "use Firth's penalty."
        )
    penalised = separated if firth is None else firth
    beta, loglik = _maximum(x, y, penalised)
    probability = expit(x @ beta)
    covariance = np.linalg.inv(_information(x, probability))
    back = _back_transform(columns)
    if penalised:
        # The penalty in the units of the columns given.
        loglik -= float(np.linalg.slogdet(back)[1])
    beta, covariance = back @ beta, back @ covariance @ back.T
    std_error = np.sqrt(np.diag(covariance))
    margin = normal_multiplier(level) * std_error
    with np.errstate(over="ignore"):
        ratios = [np.exp(value) for value in (beta, beta - margin, beta + margin)]
    return LogisticModel(
        table=pd.DataFrame(
            {
                "term": ["intercept", *map(str, columns.columns)],
                "coefficient": beta,
                "std_error": std_error,
                "odds_ratio": ratios[0],
                "lower": ratios[1],
                "upper": ratios[2],
                "z": beta / std_error,
                "p_value": two_sided_normals(beta / std_error),
            }
        ),
        probability=probability,
        loglik=loglik,
        separated=separated,
        penalised=penalised,
    )


def _standardised(columns: pd.DataFrame) -> FloatArray:
    """Intercept and standardised columns, which keeps the algebra well conditioned."""
    parts = [np.ones(len(columns))]
    for name in columns.columns:
        values = numeric(columns[name], f"values of {name}")
        refuse(~np.isfinite(values), f"values of {name} are missing or not finite")
        if values.std() == 0:
            raise InvalidSurvivalInput(f"{name} has one level only, so it has no effect.")
        parts.append((values - values.mean()) / values.std())
    x = np.column_stack(parts)
    if np.linalg.eigvalsh(x.T @ x / len(x))[0] < COLLINEARITY_TOLERANCE:
        raise InvalidSurvivalInput("The covariates are linearly dependent; leave one out.")
    return x


def _back_transform(columns: pd.DataFrame) -> FloatArray:
    """Matrix from coefficients of standardised columns to those of the columns given."""
    mean = columns.to_numpy(dtype=np.float64).mean(axis=0)
    spread = columns.to_numpy(dtype=np.float64).std(axis=0)
    matrix = np.diag(np.r_[1.0, 1 / spread])
    matrix[0, 1:] = -mean / spread
    return matrix


def _separated(x: FloatArray, y: FloatArray) -> bool:
    """Whether some direction never points the wrong way and sometimes the right one."""
    signed = x * (2 * y - 1)[:, None]
    best = linprog(
        -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(y)), bounds=(-1, 1), method="highs"
    )
    return bool(-best.fun > SEPARATION_TOLERANCE)


def _information(x: FloatArray, probability: FloatArray) -> FloatArray:
    information: FloatArray = (x.T * (probability * (1 - probability))) @ x
    return information


def _maximum(x: FloatArray, y: FloatArray, penalised: bool) -> tuple[FloatArray, float]:
    """Scoring steps, halved where they go downhill."""

    def loglik(beta: FloatArray) -> float:
        predictor = x @ beta
        value = float(y @ predictor - np.sum(np.logaddexp(0, predictor)))
        if penalised:
            value += float(np.linalg.slogdet(_information(x, expit(predictor)))[1]) / 2
        return value

    beta, last = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    here = loglik(beta)
    for _ in range(MAX_ITERATIONS):
        probability = expit(x @ beta)
        inverse = np.linalg.inv(_information(x, probability))
        residual = y - probability
        if penalised:
            hat = probability * (1 - probability) * np.einsum("ni,ij,nj->n", x, inverse, x)
            residual = residual + hat * (0.5 - probability)
        step = inverse @ (x.T @ residual)
        if np.all(np.abs(step) <= STEP_TOLERANCE * np.sqrt(np.diag(inverse))):
            return beta, here
        # The penalty is not in the information, so that a step may go to and fro for ever.
        step = step / 2 if step @ last < 0 else step
        for halving in range(MAX_HALVINGS):
            there = loglik(beta + step / 2**halving)
            if there >= here - ROUNDING * abs(here):
                break
        else:
            break
        last = step / 2**halving
        beta, here = beta + last, there
    raise InvalidSurvivalInput("The logistic regression did not converge; use fewer covariates.")
