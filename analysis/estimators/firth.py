"""Cox regression with Firth's penalty: finite where a group has no event.

The log partial likelihood is penalised by half the log determinant of the information (Firth 1993;
Heinze and Schemper 2001). Ties are Breslow's, as in R's coxphf.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from analysis.estimators.cox import (
    CoxModel,
    chi_square_test,
    coefficient_table,
    cox_design,
    require_estimable,
)
from analysis.estimators.distributions import (
    chi_square_quantile,
    chi_square_tail,
    normal_multiplier,
)
from analysis.estimators.partial_likelihood import Stratum, derivatives
from analysis.estimators.risk_table import FloatArray, InvalidSurvivalInput

MAX_ITERATIONS = 500
MAX_HALVINGS = 30
#: Steps, on the scale of the standard error, that end the iteration.
STEP_TOLERANCE = 1e-9
#: Loss of penalised log-likelihood that is rounding.
ROUNDING = 1e-11
#: Longest step for a coefficient times the standard deviation of its covariate, so that a flat
#: likelihood does not throw the search into overflow.
LONGEST_STEP = 2.0
#: Bracketing of a profile limit gives up after this many doublings.
MAX_DOUBLINGS = 40


@dataclass(frozen=True, eq=False)
class _Penalised:
    loglik: float
    score: FloatArray
    information: FloatArray


@dataclass(frozen=True, eq=False)
class _Fit:
    beta: FloatArray
    at: _Penalised
    converged: bool


def firth_cox(
    frame: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: list[str],
    entry: str | None = None,
    strata: str | list[str] | None = None,
    weights: str | None = None,
    level: float = 0.95,
) -> CoxModel:
    """Fit Cox's model with Firth's penalty.

    Parameters
    ----------
    As `cox`. Weights are frequencies: the profile likelihood knows no others.

    Returns
    -------
    CoxModel
        Coefficients and log-likelihoods are penalised. Standard errors are from the information
        at the estimate; limits and P of the table are from the profile penalised likelihood, and
        z is the signed root of that likelihood ratio, so that z and P agree.

    Raises
    ------
    InvalidSurvivalInput
        As `cox`; also if a profile limit cannot be bracketed.
    """
    design = cox_design(
        frame,
        duration=duration,
        event=event,
        covariates=covariates,
        entry=entry,
        strata=strata,
        weights=weights,
    )
    if design.survival.is_sampled(None):
        raise InvalidSurvivalInput(
            "Firth's penalty is not defined with sampling weights; use frequencies."
        )
    p = len(covariates)
    require_estimable(derivatives(design.strata, np.zeros(p), "breslow").information, design)
    longest = LONGEST_STEP / design.x.std(axis=0)

    def penalised(beta: FloatArray) -> _Penalised:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return _penalised(design.strata, beta)

    null = penalised(np.zeros(p))
    best = _ascend(penalised, np.zeros(p), np.ones(p, dtype=bool), longest)
    covariance: FloatArray = np.linalg.inv(best.at.information)
    table = coefficient_table(design.terms, best.beta, covariance, level)
    drop = chi_square_quantile(level, 1) / 2
    for j in range(p):
        profile = _Profile(penalised, best, j, longest)
        ratio = max(0.0, 2 * (best.at.loglik - profile(0.0)))
        margin = normal_multiplier(level) * float(np.sqrt(covariance[j, j]))
        table.loc[j, "z"] = np.sign(best.beta[j]) * np.sqrt(ratio)
        table.loc[j, "p_value"] = chi_square_tail(ratio, 1)
        for limit, side in (("lower", -margin), ("upper", margin)):
            with np.errstate(over="ignore"):
                table.loc[j, limit] = np.exp(profile.limit(side, drop))
    events = int(design.survival.event.sum())
    return CoxModel(
        n=len(design.x),
        events=events,
        ties="breslow",
        loglik_null=null.loglik,
        loglik=best.at.loglik,
        table=table,
        likelihood_ratio=chi_square_test(
            2 * (best.at.loglik - null.loglik), p, "penalised likelihood ratio test"
        ),
        wald=chi_square_test(
            float(best.beta @ best.at.information @ best.beta), p, "Wald test, penalised estimate"
        ),
        score=chi_square_test(
            float(null.score @ np.linalg.solve(null.information, null.score)),
            p,
            "penalised score test",
        ),
        converged=best.converged,
        monotone=False,
        infinite=(),
        events_per_variable=events / p,
        covariance=covariance,
        penalised=True,
        design=design,
    )


class _Profile:
    """Penalised log-likelihood with one coefficient held fixed and the others at their best."""

    def __init__(
        self,
        penalised: Callable[[FloatArray], _Penalised],
        best: _Fit,
        index: int,
        longest: FloatArray,
    ) -> None:
        self._penalised, self._best, self._index = penalised, best, index
        self._longest = longest
        self._last = best.beta
        self._free = np.arange(len(best.beta)) != index

    def __call__(self, value: float) -> float:
        start = self._last.copy()
        start[self._index] = value
        fit = _ascend(self._penalised, start, self._free, self._longest)
        self._last = fit.beta
        return fit.at.loglik

    def limit(self, margin: float, drop: float) -> float:
        """Coefficient on the side of `margin` where the profile is `drop` below its maximum."""
        estimate = float(self._best.beta[self._index])
        target = self._best.at.loglik - drop
        self._last = self._best.beta
        near, far = estimate, estimate + margin
        for _ in range(MAX_DOUBLINGS):
            if self(far) < target:
                if self(near) < target:
                    break  # the other coefficients were not found again
                root = brentq(lambda value: self(value) - target, near, far, xtol=1e-10)
                return float(root)
            near, far = far, far + 2 * (far - near)
        raise InvalidSurvivalInput(
            "The profile likelihood is too flat for a confidence limit; use fewer covariates."
        )


def _ascend(
    penalised: Callable[[FloatArray], _Penalised],
    start: FloatArray,
    free: np.typing.NDArray[np.bool_],
    longest: FloatArray,
) -> _Fit:
    """Quasi-Newton steps (BFGS) over the free coefficients, halved where they go downhill.

    The first is a scoring step. In small samples the penalty bends the likelihood so much that
    scoring alone takes dozens of steps. Far out on a flat profile rounding may forbid every step
    that is not nothing: after one more scoring step the search ends there.
    """
    beta, here = start, penalised(start)
    if not free.any():
        return _Fit(beta, here, converged=True)
    inverse: FloatArray = np.linalg.inv(here.information[np.ix_(free, free)])
    has_stalled = False
    for _ in range(MAX_ITERATIONS):
        information = here.information[np.ix_(free, free)]
        tolerance = STEP_TOLERANCE / np.sqrt(np.diag(information))
        step = np.zeros(len(beta))
        step[free] = inverse @ here.score[free]
        if np.all(np.abs(step[free]) <= tolerance):
            return _Fit(beta, here, converged=True)
        step /= max(1.0, float(np.max(np.abs(step) / longest)))
        for halving in range(MAX_HALVINGS):
            there = penalised(beta + step / 2**halving)
            if there.loglik >= here.loglik - ROUNDING * abs(here.loglik):
                moved = step[free] / 2**halving
                inverse = _updated(inverse, moved, here.score[free] - there.score[free])
                beta, here = beta + step / 2**halving, there
                break
        else:
            break
        is_stalled = bool(np.all(np.abs(moved) <= tolerance))
        if is_stalled and has_stalled:
            break
        if is_stalled:
            inverse = np.linalg.inv(here.information[np.ix_(free, free)])
        has_stalled = is_stalled
    return _Fit(beta, here, converged=False)


def _updated(inverse: FloatArray, moved: FloatArray, fall: FloatArray) -> FloatArray:
    """The inverse of the curvature after a step along which the score fell by so much."""
    curvature = float(moved @ fall)
    if curvature <= 0:
        return inverse
    turn = np.eye(len(moved)) - np.outer(moved, fall) / curvature
    return np.asarray(turn @ inverse @ turn.T + np.outer(moved, moved) / curvature)


def _penalised(strata: list[Stratum], beta: FloatArray) -> _Penalised:
    """Penalised log-likelihood and score, and the unpenalised information.

    The penalty's gradient, half the trace of I^-1 dI/db, is a sum over event times of
    E[(y'Ay) y] with y the covariates less their risk-set mean and A = I^-1.
    """
    plain = derivatives(strata, beta, "breslow")
    sign, log_determinant = np.linalg.slogdet(plain.information)
    if not sign > 0 or not np.isfinite(plain.loglik):
        return _Penalised(-np.inf, plain.score, plain.information)
    inverse = np.linalg.inv(plain.information)
    gradient = sum(_trace_gradient(stratum, beta, inverse) for stratum in strata)
    return _Penalised(
        plain.loglik + log_determinant / 2, plain.score + gradient / 2, plain.information
    )


def _trace_gradient(stratum: Stratum, beta: FloatArray, inverse: FloatArray) -> FloatArray:
    """Trace of I^-1 dI/db, as far as the event times of one stratum contribute."""
    rows, x = stratum.survival, stratum.x
    risk = np.exp(x @ beta)
    deaths = rows.leave(rows.event)
    if rows.weights is not None:
        risk = risk * rows.weights
        deaths = rows.leave(rows.event * rows.weights)
    cells = np.flatnonzero(deaths > 0)
    total = rows.at_risk(risk)[cells]

    def average(values: FloatArray) -> FloatArray:
        return np.asarray(rows.at_risk(risk * values)[cells] / total)

    form = np.einsum("ni,ij,nj->n", x, inverse, x)
    mean = np.column_stack([average(column) for column in x.T])
    mean_of_form = average(form)
    mean_of_form_x = np.column_stack([average(form * column) for column in x.T])
    turned = mean @ inverse
    second = np.stack(
        [np.column_stack([average(left * right) for right in x.T]) for left in x.T], axis=1
    )
    third = (
        mean_of_form_x
        - mean_of_form[:, None] * mean
        - 2 * np.einsum("tij,tj->ti", second, turned)
        + 2 * np.sum(turned * mean, axis=1)[:, None] * mean
    )
    gradient: FloatArray = deaths[cells] @ third
    return gradient
