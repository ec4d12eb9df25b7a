"""Cox's partial likelihood, its derivatives and residuals, under Breslow's and Efron's ties.

Everything rests on sums over risk sets. Rows are collapsed onto the grid of distinct times; what a
row contributes to the second moment is found by carrying the hazard to the row instead of carrying
the squared covariates to the time, which keeps memory at n x p.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.estimators.risk_table import FloatArray, IntArray, SurvivalRows, reverse_cumsum

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
    """Risk-set sums at the D distinct times of death, and their averages over the tied deaths.

    Of m tied deaths the l-th (l = 0, ..., m-1) has the risk set less the share f = l/m of the
    tied deaths (Efron), or the whole of it (Breslow, f = 0): its total is t_l = R - f d, its sum
    of covariates F - f G. What the likelihood needs of it are sums over l of f^a / t_l^b, so that
    no array has a row for each death and a column for each covariate.

    cell : grid position of each time, shape (D,), ascending.
    deaths : number of deaths, shape (D,).
    weight : case weight of each tied death, shape (D,); of all of them together (Breslow).
    first, dead_first : F and G, shape (D, p).
    log_total : sum of log t_l, shape (D,).
    inverse : sums of f^a / t_l for a = 0, 1, shape (2, D).
    square : sums of f^a / t_l^2 for a = 0, 1, 2, shape (3, D).
    risk : exp(x b) times the case weight, shape (n,).
    """

    cell: IntArray
    deaths: FloatArray
    weight: FloatArray
    first: FloatArray
    dead_first: FloatArray
    log_total: FloatArray
    inverse: FloatArray
    square: FloatArray
    risk: FloatArray

    def mean(self) -> FloatArray:
        """Sum over the tied deaths of the risk-set mean, shape (D, p)."""
        return np.asarray(
            self.first * self.inverse[0][:, None] - self.dead_first * self.inverse[1][:, None]
        )

    def mean_hazard(self, power: int) -> FloatArray:
        """Sum over the tied deaths of f^power times mean over total, shape (D, p)."""
        return np.asarray(
            self.first * self.square[power][:, None]
            - self.dead_first * self.square[power + 1][:, None]
        )


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
    at_event = rows.event if rows.weights is None else rows.event * rows.weights
    loglik = float(at_event @ (x @ beta) - moments.weight @ moments.log_total)

    weight = moments.weight
    if time_weight is not None:
        weight = weight * time_weight[moments.cell]
        at_event = at_event * time_weight[rows.exit_code]
    score = at_event @ x - weight @ moments.mean()
    exposure = moments.risk * _carried(rows, moments, weight * moments.inverse)
    first, dead_first, square = moments.first, moments.dead_first, weight * moments.square
    crossed = (first.T * square[1]) @ dead_first
    squared_means = (
        (first.T * square[0]) @ first
        - crossed
        - crossed.T
        + (dead_first.T * square[2]) @ dead_first
    )
    return Derivatives(loglik, score, (x.T * exposure) @ x - squared_means)


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
        hazard = _carried(rows, moments, moments.weight * moments.inverse)
        kept, removed = (moments.weight[:, None] * moments.mean_hazard(a) for a in (0, 1))
        drift = np.column_stack(
            [
                _carried(rows, moments, np.vstack([kept[:, column], removed[:, column]]))
                for column in range(x.shape[1])
            ]
        )
        mean_at_event = _mean_by_cell(rows, moments)[rows.exit_code]
        residuals[stratum.rows] = rows.event[:, None] * (x - mean_at_event) - relative_risk[
            :, None
        ] * (x * hazard[:, None] - drift)
    return residuals


def _moments(stratum: Stratum, beta: FloatArray, ties: ApproximateTies) -> _Moments:
    rows, x = stratum.survival, stratum.x
    size = len(rows.grid)
    risk = np.exp(x @ beta)
    if rows.weights is not None:
        risk = risk * rows.weights
    # One pass over the rows gives the sums over those who leave alive and over those who die.
    fate = 2 * rows.exit_code + rows.event.astype(np.int64)

    def sums(values: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        """At each time of death: sum over those at risk, and over those who die."""
        by_fate = np.bincount(fate, weights=values, minlength=2 * size).astype(np.float64)
        left = by_fate.reshape(size, 2)
        total = reverse_cumsum(left.sum(axis=1))
        if rows.entry_code is not None:
            enter = np.bincount(rows.entry_code, weights=values, minlength=size)
            total = total - np.r_[reverse_cumsum(enter.astype(np.float64))[1:], 0.0]
        return total[cells], left[cells, 1]

    deaths = np.bincount(fate, minlength=2 * size)[1::2]
    cells = np.flatnonzero(deaths)
    deaths = deaths[cells]
    total, dead_total = sums(risk)
    columns = [sums(risk * x[:, column]) for column in range(x.shape[1])]
    first, dead_first = (np.column_stack([pair[k] for pair in columns]) for k in (0, 1))
    dead_weight = deaths if rows.weights is None else sums(rows.weights)[1]

    one_each = ties == "efron" and bool(np.any(deaths > 1))
    copies = deaths if one_each else np.ones_like(deaths)
    start = np.cumsum(copies) - copies
    if one_each:
        fraction = (np.arange(copies.sum()) - np.repeat(start, copies)) / np.repeat(copies, copies)
        each_total = np.repeat(total, copies) - fraction * np.repeat(dead_total, copies)
    else:
        fraction, each_total = np.zeros(len(cells)), np.asarray(total, dtype=np.float64)

    def over_ties(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(values, start) if one_each else values)

    inverse = 1 / each_total
    removed = fraction * inverse
    return _Moments(
        cell=cells,
        deaths=copies.astype(np.float64),
        weight=dead_weight / copies,
        first=first,
        dead_first=dead_first,
        log_total=over_ties(np.log(each_total)),
        inverse=np.vstack([over_ties(inverse), over_ties(removed)]),
        square=np.vstack(
            [over_ties(inverse**2), over_ties(removed * inverse), over_ties(removed**2)]
        ),
        risk=risk,
    )


def _carried(rows: SurvivalRows, moments: _Moments, increments: FloatArray) -> FloatArray:
    """Sum of the increments each row is exposed to, shape (n,).

    `increments`, shape (2, D): at each time of death the whole, and the share by which a death is
    less exposed to its own time under Efron.
    """
    size = len(rows.grid)
    whole, removed = np.zeros(size), np.zeros(size)
    whole[moments.cell], removed[moments.cell] = increments
    cumulative = np.r_[0.0, np.cumsum(whole)]
    # By time and fate, so that one look-up serves each row.
    by_fate = np.column_stack([cumulative[1:], cumulative[1:] - removed]).ravel()
    exposed: FloatArray = by_fate[2 * rows.exit_code + rows.event.astype(np.int64)]
    if rows.entry_code is not None:
        exposed = exposed - cumulative[rows.entry_code]
    return exposed


def _mean_by_cell(rows: SurvivalRows, moments: _Moments) -> FloatArray:
    """Average of the risk-set means at each grid position, shape (T, p); zero without deaths."""
    mean = np.zeros((len(rows.grid), moments.first.shape[1]))
    mean[moments.cell] = moments.mean() / moments.deaths[:, None]
    return mean
