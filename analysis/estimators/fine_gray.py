"""Fine and Gray's regression of a cumulative incidence on covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.estimators.competing_risks import causes_of
from analysis.estimators.cox import (
    coefficient_table,
    cox_design,
    maximise,
    require_error,
    require_estimable,
    wald_test,
)
from analysis.estimators.partial_likelihood import Derivatives
from analysis.estimators.results import TestResult
from analysis.estimators.risk_table import (
    FloatArray,
    InvalidSurvivalInput,
    SurvivalRows,
    reverse_cumprod,
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
    entry: str | None = None,
    weights: str | None = None,
    sampling: bool | None = None,
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
    entry, weights
        Column names; contents as for `kaplan_meier`, and so `sampling`.

    Returns
    -------
    FineGrayModel
        As R's cmprsk::crr: one censoring distribution for all, Breslow's ties, the variance of
        section 4 of the paper. With late entry the weights of Geskus (2011) and, as there and with
        R's survival::finegray, a robust variance that takes them as known.

    Raises
    ------
    InvalidSurvivalInput
        As `cox` and `aalen_johansen`; also if the cause of interest does not occur, and where
        nobody was under observation when somebody entered after a competing event: the
        distribution of the entry then cannot be estimated.
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
        entry=entry,
        weights=weights,
    )
    risk_sets = _RiskSets(design.survival, design.x, of_interest, (code > 0) - of_interest)
    null = risk_sets.derivatives(np.zeros(len(covariates)))
    require_estimable(null.information, design)
    best = maximise(risk_sets.derivatives, null, design.x.std(axis=0))
    covariance = best.covariance
    if not best.monotone:  # else no standard error means anything, and residuals overflow
        influence = risk_sets.influence(best.beta) @ best.covariance
        rows = design.survival
        if rows.weights is not None:
            heavy = rows.weights if rows.is_sampled(sampling) else np.sqrt(rows.weights)
            influence = influence * heavy[:, None]
        covariance = influence.T @ influence
        require_error(covariance, best.covariance, design.terms)
    return FineGrayModel(
        n=len(code),
        events=int(of_interest.sum()),
        competing=int(np.sum(code > 0) - of_interest.sum()),
        table=coefficient_table(design.terms, best.beta, covariance, level),
        loglik_null=null.loglik,
        loglik=best.at.loglik,
        wald=wald_test(best.beta, covariance, "robust Wald test"),
        covariance=covariance,
        converged=best.converged,
        monotone=best.monotone,
    )


class _RiskSets:
    """Sums over the risk sets of the subdistribution.

    Who has had a competing event at X stays in the risk set at t > X with the weight
    g(t) / g(X), g(t) = G(t-) H(t-): G the Kaplan-Meier curve of the censoring, H the product-limit
    distribution of the late entry (Geskus 2011), one without it. The weight is a product, so that
    a running sum of 1 / g(X) serves all later times.
    """

    def __init__(
        self, rows: SurvivalRows, x: FloatArray, of_interest: FloatArray, competing: FloatArray
    ) -> None:
        self._rows, self._x = rows, x
        # Of each row as many as it stands for.
        weight = np.ones(len(rows)) if rows.weights is None else rows.weights
        self._weight = weight
        self._of_interest, self._competing = of_interest, competing
        censored = 1 - of_interest - competing
        self._at_risk = rows.at_risk()
        self._censoring_hazard = rows.leave(censored * weight) / self._at_risk
        self._censored = censored
        # Nobody is at risk after the last time, so that G(t-) is positive on the grid.
        g = np.asarray(np.r_[1.0, np.cumprod(1 - self._censoring_hazard)[:-1]], dtype=np.float64)
        self._deaths = rows.leave(of_interest * weight)
        self._has_late_entry = rows.entry is not None and bool(np.any(rows.entry > 0))
        if self._has_late_entry:
            g = g * _entered_before(rows)
            if np.any(g[rows.exit_code[competing > 0]] <= 0):
                raise InvalidSurvivalInput(
                    "Somebody entered when nobody else was under observation, after a competing "
                    "event, so that the weights of late entry cannot be estimated."
                )
        self._g = g

    def _sum(self, values: FloatArray) -> FloatArray:
        """Weighted sum over the risk set at each grid time, shape (T,)."""
        values = values * self._weight
        left = np.zeros(len(values))
        np.divide(values, self._g[self._rows.exit_code], out=left, where=self._competing > 0)
        earlier = np.r_[0.0, np.cumsum(self._rows.leave(left))[:-1]]
        return np.asarray(self._rows.at_risk(values) + self._g * earlier)

    def _columns(self, values: FloatArray) -> FloatArray:
        return np.column_stack([self._sum(column) for column in values.T])

    def _exposure(self, increments: FloatArray) -> FloatArray:
        """Sum of the increments weighted as each row is in the risk sets, shape (n,)."""
        code = self._rows.exit_code
        passed = np.r_[0.0, np.cumsum(increments)]
        own = passed[code + 1]
        if self._rows.entry_code is not None:
            own = own - passed[self._rows.entry_code]
        weighted = np.r_[reverse_cumsum(self._g * increments)[1:], 0.0]
        later = np.zeros(len(code))
        np.divide(weighted[code], self._g[code], out=later, where=self._competing > 0)
        return np.asarray(own + later)

    def derivatives(self, beta: FloatArray) -> Derivatives:
        x, deaths = self._x, self._deaths
        risk = np.exp(x @ beta)
        total = self._sum(risk)
        mean = self._columns(risk[:, None] * x) / total[:, None]
        at_event = self._of_interest * self._weight
        happened = deaths > 0
        loglik = float(at_event @ (x @ beta) - deaths[happened] @ np.log(total[happened]))
        score = at_event @ x - deaths @ mean
        exposure = risk * self._weight * self._exposure(deaths / total)
        information = (x.T * exposure) @ x - (mean.T * deaths) @ mean
        return Derivatives(loglik, score, information)

    def influence(self, beta: FloatArray) -> FloatArray:
        """Each row's eta + psi of Fine and Gray's section 4, shape (n, p); with late entry eta."""
        x, code, g = self._x, self._rows.exit_code, self._g
        risk = np.exp(x @ beta)
        total = self._sum(risk)
        mean = self._columns(risk[:, None] * x) / total[:, None]
        hazard = self._deaths / total
        drift = np.column_stack([self._exposure(hazard * column) for column in mean.T])
        eta = self._of_interest[:, None] * (x - mean[code]) - risk[:, None] * (
            x * self._exposure(hazard)[:, None] - drift
        )
        if self._has_late_entry:
            return np.asarray(eta)

        # q(u): what a censoring at u does to the weights of those who had a competing event
        # before, at all t >= u as in the paper and in cmprsk.
        def before(values: FloatArray) -> FloatArray:
            left = self._rows.leave(values * self._weight * self._competing / g[code])
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


def _entered_before(rows: SurvivalRows) -> FloatArray:
    """Estimated share that has entered before each grid time, shape (T,).

    The product-limit estimate in reversed time: at an entry at v those are at risk who had entered
    by then and were still under observation.
    """
    assert rows.entry is not None
    weight = np.ones(len(rows)) if rows.weights is None else rows.weights
    time, code = np.unique(rows.entry, return_inverse=True)
    entered = np.bincount(code, weights=weight)
    exits = rows.grid[rows.exit_code]
    by_exit = np.argsort(exits, kind="stable")
    gone = np.r_[0.0, np.cumsum(weight[by_exit])]
    at_risk = np.cumsum(entered) - gone[np.searchsorted(exits[by_exit], time, side="right")]
    later = np.r_[reverse_cumprod(1 - entered / at_risk), 1.0]
    return np.asarray(later[np.searchsorted(time, rows.grid, side="left")])
