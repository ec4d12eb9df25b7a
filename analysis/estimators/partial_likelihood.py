"""Cox's partial likelihood, its derivatives and residuals, under Breslow's and Efron's ties.

Everything rests on sums over risk sets. Rows are collapsed onto the grid of distinct times; what a
row contributes to the second moment is found by carrying the hazard to the row instead of carrying
the squared covariates to the time, which keeps memory at n x p.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.estimators.risk_table import FloatArray, IntArray, SurvivalRows

ApproximateTies = Literal["efron", "breslow"]


@dataclass(frozen=True, eq=False)
class Stratum:
    """Rows that share a baseline hazard, on the grid of their own distinct times.

    Attributes
    ----------
    rows : which rows of the data these are, shape (n,).
    x : centred covariates, shape (n, p).
    survival : the rows on their grid (weights inside).
    """

    rows: IntArray
    x: FloatArray
    survival: SurvivalRows


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Log partial likelihood, score vector (p,) and information matrix (p, p)."""

    loglik: float
    score: FloatArray
    information: FloatArray


@dataclass(frozen=True, eq=False)
class _Moments:
    """The sequence of K risk-set averages: one a time (Breslow), one a tied death (Efron).

    cell : grid position of each average, shape (K,), ascending.
    fraction : share of the tied deaths already removed from the risk set, shape (K,).
    total : sum of the risk weights, shape (K,).
    mean : weighted covariate mean, shape (K, p).
    hazard : increment of the baseline hazard, shape (K,).
    risk : exp(x b) times the case weight, shape (n,).
    """

    cell: IntArray
    fraction: FloatArray
    total: FloatArray
    mean: FloatArray
    hazard: FloatArray
    risk: FloatArray


def derivatives(
    strata: list[Stratum],
    beta: FloatArray,
    ties: ApproximateTies,
    time_weight: list[FloatArray] | None = None,
) -> Derivatives:
    """Sum over strata.

    With `time_weight` (a value for each grid position of each stratum) the contributions of the
    event times to score and information are multiplied by it; the log-likelihood is not.
    """
    p = len(beta)
    loglik, score, information = 0.0, np.zeros(p), np.zeros((p, p))
    for index, stratum in enumerate(strata):
        weight = None if time_weight is None else time_weight[index]
        part = _stratum_derivatives(stratum, beta, ties, weight)
        loglik += part.loglik
        score += part.score
        information += part.information
    return Derivatives(loglik, score, information)


def _stratum_derivatives(
    stratum: Stratum, beta: FloatArray, ties: ApproximateTies, time_weight: FloatArray | None
) -> Derivatives:
    rows, x = stratum.survival, stratum.x
    moments = _moments(stratum, beta, ties)
    event_weight = rows.event if rows.weights is None else rows.event * rows.weights
    mean_weight = moments.hazard * moments.total
    loglik = float(event_weight @ (x @ beta) - mean_weight @ np.log(moments.total))

    hazard, at_event = moments.hazard, event_weight
    if time_weight is not None:
        hazard = hazard * time_weight[moments.cell]
        mean_weight = mean_weight * time_weight[moments.cell]
        at_event = at_event * time_weight[rows.exit_code]
    score = at_event @ x - mean_weight @ moments.mean
    exposure = moments.risk * _carried(rows, moments, hazard)
    information = (x.T * exposure) @ x - (moments.mean * mean_weight[:, None]).T @ moments.mean
    return Derivatives(loglik, score, information)


def score_residuals(
    strata: list[Stratum], beta: FloatArray, ties: ApproximateTies, n: int
) -> FloatArray:
    """Each row's unweighted contribution to the score, shape (n, p).

    Late entry and Efron's ties are taken into account (Therneau and Grambsch 2000, section 4.6 and
    appendix on coxscore).
    """
    residuals = np.zeros((n, len(beta)))
    for stratum in strata:
        rows, x = stratum.survival, stratum.x
        moments = _moments(stratum, beta, ties)
        relative_risk = np.exp(x @ beta)
        hazard = _carried(rows, moments, moments.hazard)
        drift = np.column_stack(
            [
                _carried(rows, moments, moments.hazard * moments.mean[:, column])
                for column in range(x.shape[1])
            ]
        )
        mean_at_event = _mean_by_cell(rows, moments)[rows.exit_code]
        residuals[stratum.rows] = rows.event[:, None] * (x - mean_at_event) - relative_risk[
            :, None
        ] * (x * hazard[:, None] - drift)
    return residuals


def schoenfeld_residuals(
    strata: list[Stratum], beta: FloatArray, ties: ApproximateTies
) -> Iterator[tuple[IntArray, FloatArray]]:
    """For each stratum the event rows and their residuals, shape (events, p)."""
    for stratum in strata:
        rows = stratum.survival
        mean = _mean_by_cell(rows, _moments(stratum, beta, ties))
        dead = np.flatnonzero(rows.event == 1)
        yield stratum.rows[dead], stratum.x[dead] - mean[rows.exit_code[dead]]


def _moments(stratum: Stratum, beta: FloatArray, ties: ApproximateTies) -> _Moments:
    rows, x = stratum.survival, stratum.x
    risk = np.exp(x @ beta)
    if rows.weights is not None:
        risk = risk * rows.weights
    dead_weight = rows.event if rows.weights is None else rows.event * rows.weights
    deaths = np.bincount(rows.exit_code, weights=rows.event, minlength=len(rows.grid))
    weight_of_deaths = np.bincount(rows.exit_code, weights=dead_weight, minlength=len(rows.grid))
    cells = np.flatnonzero(deaths > 0)
    total = rows.at_risk(risk)[cells]
    first = np.column_stack(
        [rows.at_risk(risk * x[:, column])[cells] for column in range(x.shape[1])]
    )
    if ties == "breslow":
        return _Moments(
            cell=cells,
            fraction=np.zeros(len(cells)),
            total=total,
            mean=first / total[:, None],
            hazard=weight_of_deaths[cells] / total,
            risk=risk,
        )
    copies = deaths[cells].astype(np.int64)
    start = np.repeat(np.cumsum(copies) - copies, copies)
    fraction = (np.arange(copies.sum()) - start) / np.repeat(copies, copies)
    dead_risk = rows.leave(risk * rows.event)[cells]
    dead_first = np.column_stack(
        [rows.leave(risk * rows.event * x[:, column])[cells] for column in range(x.shape[1])]
    )
    each_total = np.repeat(total, copies) - fraction * np.repeat(dead_risk, copies)
    each_first = np.repeat(first, copies, axis=0) - fraction[:, None] * np.repeat(
        dead_first, copies, axis=0
    )
    return _Moments(
        cell=np.repeat(cells, copies),
        fraction=fraction,
        total=each_total,
        mean=each_first / each_total[:, None],
        hazard=np.repeat(weight_of_deaths[cells] / copies, copies) / each_total,
        risk=risk,
    )


def _carried(rows: SurvivalRows, moments: _Moments, increments: FloatArray) -> FloatArray:
    """Sum of the increments each row is exposed to, shape (n,).

    Under Efron a death is exposed to its own time's increments less the share already removed.
    """
    size = len(rows.grid)
    cumulative = np.r_[0.0, np.cumsum(np.bincount(moments.cell, increments, minlength=size))]
    exposed = cumulative[rows.exit_code + 1]
    if rows.entry_code is not None:
        exposed = exposed - cumulative[rows.entry_code]
    removed = np.bincount(moments.cell, increments * moments.fraction, minlength=size)
    result: FloatArray = exposed - rows.event * removed[rows.exit_code]
    return result


def _mean_by_cell(rows: SurvivalRows, moments: _Moments) -> FloatArray:
    """Average of the risk-set means at each grid position, shape (T, p); zero without deaths."""
    size = len(rows.grid)
    count = np.maximum(np.bincount(moments.cell, minlength=size), 1)
    return np.column_stack(
        [
            np.bincount(moments.cell, moments.mean[:, column], minlength=size) / count
            for column in range(moments.mean.shape[1])
        ]
    )
