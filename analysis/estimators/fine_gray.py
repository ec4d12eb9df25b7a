"""Fine and Gray's regression of a cumulative incidence on covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.estimators.competing_risks import causes_of
from analysis.estimators.cox import (
    chi_square_test,
    coefficient_table,
    cox_design,
    maximise,
    require_estimable,
)
from analysis.estimators.partial_likelihood import Derivatives
from analysis.estimators.results import TestResult
from analysis.estimators.risk_table import (
    FloatArray,
    InvalidSurvivalInput,
    SurvivalRows,
    reverse_cumsum,
)


@dataclass(frozen=True, eq=False)
class FineGrayModel:
    """A fitted model.

    Attributes
    ----------
    n, events, competing : int
        Patients, events of the cause of interest and of the others.
    table : DataFrame
        term, coefficient, std_error, hazard_ratio (of the subdistribution), lower, upper, z,
        p_value.
    loglik_null, loglik : float
        Log pseudo-likelihood, which has no likelihood-ratio test.
    wald : TestResult
    covariance : float array, shape (p, p)
        Robust, with the estimation of the censoring distribution accounted for.
    converged, monotone : bool
        As for `CoxModel`.
    """

    n: int
    events: int
    competing: int
    table: pd.DataFrame
    loglik_null: float
    loglik: float
    wald: TestResult
    covariance: FloatArray
    converged: bool
    monotone: bool


def fine_gray(
    frame: pd.DataFrame,
    *,
    duration: str,
    cause: str,
    covariates: list[str],
    cause_of_interest: int = 1,
    level: float = 0.95,
) -> FineGrayModel:
    """Proportional hazards of the subdistribution (Fine and Gray 1999).

    Parameters
    ----------
    frame
        One row a patient.
    duration, cause
        Column names; contents as for `aalen_johansen` (0 for censored).
    covariates
        Numeric columns, as for `cox`.

    Returns
    -------
    FineGrayModel
        As R's cmprsk::crr: one censoring distribution for all, Breslow's ties, the variance of
        section 4 of the paper.

    Raises
    ------
    InvalidSurvivalInput
        As `cox` and `aalen_johansen`; also if the cause of interest does not occur.
    """
    absent = [name for name in (duration, cause) if name not in frame.columns]
    if absent:
        raise InvalidSurvivalInput(f"The data have no column named {', '.join(absent)}.")
    code, causes = causes_of(frame[cause])
    if cause_of_interest not in causes:
        raise InvalidSurvivalInput("No event of the cause of interest was observed.")
    of_interest = (code == cause_of_interest).astype(np.float64)
    happened = "event of interest"
    while happened in frame.columns:
        happened += "'"
    design = cox_design(
        frame.assign(**{happened: of_interest}),
        duration=duration,
        event=happened,
        covariates=covariates,
    )
    risk_sets = _RiskSets(design.survival, design.x, of_interest, (code > 0) - of_interest)
    null = risk_sets.derivatives(np.zeros(len(covariates)))
    require_estimable(null.information, design)
    best = maximise(risk_sets.derivatives, null)
    influence = risk_sets.influence(best.beta) @ best.covariance
    covariance: FloatArray = influence.T @ influence
    return FineGrayModel(
        n=len(code),
        events=int(of_interest.sum()),
        competing=int(np.sum(code > 0) - of_interest.sum()),
        table=coefficient_table(design.terms, best.beta, covariance, level),
        loglik_null=null.loglik,
        loglik=best.at.loglik,
        wald=chi_square_test(
            float(best.beta @ np.linalg.solve(covariance, best.beta)),
            len(covariates),
            "robust Wald test",
        ),
        covariance=covariance,
        converged=best.converged,
        monotone=best.monotone,
    )


class _RiskSets:
    """Sums over the risk sets of the subdistribution.

    Who has had a competing event at X stays in the risk set at t > X with the weight
    G(t-) / G(X-), G the Kaplan-Meier curve of the censoring. The weight is a product, so that a
    running sum of 1 / G(X-) serves all later times.
    """

    def __init__(
        self, rows: SurvivalRows, x: FloatArray, of_interest: FloatArray, competing: FloatArray
    ) -> None:
        self._rows, self._x = rows, x
        self._of_interest, self._competing = of_interest, competing
        censored = 1 - of_interest - competing
        self._at_risk = rows.at_risk()
        self._censoring_hazard = rows.leave(censored) / self._at_risk
        self._censored = censored
        # Nobody is at risk after the last time, so that G(t-) is positive on the grid.
        self._g = np.r_[1.0, np.cumprod(1 - self._censoring_hazard)[:-1]]
        self._deaths = rows.leave(of_interest)

    def _sum(self, values: FloatArray) -> FloatArray:
        """Weighted sum over the risk set at each grid time, shape (T,)."""
        left = self._rows.leave(values * self._competing / self._g[self._rows.exit_code])
        earlier = np.r_[0.0, np.cumsum(left)[:-1]]
        return np.asarray(self._rows.at_risk(values) + self._g * earlier)

    def _columns(self, values: FloatArray) -> FloatArray:
        return np.column_stack([self._sum(column) for column in values.T])

    def _exposure(self, increments: FloatArray) -> FloatArray:
        """Sum of the increments weighted as each row is in the risk sets, shape (n,)."""
        code = self._rows.exit_code
        own = np.cumsum(increments)[code]
        weighted = np.r_[reverse_cumsum(self._g * increments)[1:], 0.0]
        return np.asarray(own + self._competing * weighted[code] / self._g[code])

    def derivatives(self, beta: FloatArray) -> Derivatives:
        x, deaths = self._x, self._deaths
        risk = np.exp(x @ beta)
        total = self._sum(risk)
        mean = self._columns(risk[:, None] * x) / total[:, None]
        loglik = float(self._of_interest @ (x @ beta) - deaths @ np.log(total))
        score = self._of_interest @ x - deaths @ mean
        exposure = risk * self._exposure(deaths / total)
        information = (x.T * exposure) @ x - (mean.T * deaths) @ mean
        return Derivatives(loglik, score, information)

    def influence(self, beta: FloatArray) -> FloatArray:
        """Each row's eta + psi of Fine and Gray's section 4, shape (n, p)."""
        x, code, g = self._x, self._rows.exit_code, self._g
        risk = np.exp(x @ beta)
        total = self._sum(risk)
        mean = self._columns(risk[:, None] * x) / total[:, None]
        hazard = self._deaths / total
        drift = np.column_stack([self._exposure(hazard * column) for column in mean.T])
        eta = self._of_interest[:, None] * (x - mean[code]) - risk[:, None] * (
            x * self._exposure(hazard)[:, None] - drift
        )

        # q(u): what a censoring at u does to the weights of those who had a competing event
        # before, at all t >= u as in the paper and in cmprsk.
        def before(values: FloatArray) -> FloatArray:
            left = self._rows.leave(values * self._competing / g[code])
            return np.asarray(np.r_[0.0, np.cumsum(left)[:-1]])

        later_hazard = reverse_cumsum(g * hazard)
        later_mean = reverse_cumsum((g * hazard)[:, None] * mean)
        shift = (
            np.column_stack([before(risk * column) for column in x.T]) * later_hazard[:, None]
            - before(risk)[:, None] * later_mean
        )
        rate = shift / self._at_risk[:, None]
        compensator = np.cumsum(rate * self._censoring_hazard[:, None], axis=0)
        psi = self._censored[:, None] * rate[code] - compensator[code]
        return np.asarray(eta + psi)
