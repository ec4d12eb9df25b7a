"""Turnbull's estimate for events known only to lie between two examinations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.distributions import normal_multiplier
from analysis.estimators.results import Estimate
from analysis.estimators.risk_table import (
    FloatArray,
    InvalidSurvivalInput,
    numeric,
    order_for_drawing,
    refuse,
    require_length,
)

MAX_ITERATIONS = 500
#: Slope of the log-likelihood for each patient, on the scale of a relative change of a hazard,
#: that counts as none.
TOLERANCE = 1e-10
#: The same where steps only lose by rounding.
ROUNDING_TOLERANCE = 1e-6
#: A cumulative hazard below this is judged as one of this size.
FLOOR = 1e-6
#: How much of a step's metric is that of self-consistency.
LEAST_DAMPING, MOST_DAMPING = 1e-9, 1e6
#: Relative loss of log-likelihood that is rounding.
ROUNDING = 1e-14
#: Probabilities below this are put to zero at the end.
NEGLIGIBLE = 1e-9
#: A curve has reached a level when it is above it by rounding only.
LEVEL_TOLERANCE = 1e-9

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Turnbull:
    """A fitted distribution.

    Attributes
    ----------
    n : int
        Patients.
    table : DataFrame
        left, right, probability, survival: the intervals (left, right] that hold probability,
        ascending, and the share without the event after each. An event known exactly has left =
        right; right is infinite for what lies beyond the last examination. Where in an interval
        the events lie the data do not say.
    loglik : float
    converged : bool
    """

    n: int
    table: pd.DataFrame
    loglik: float
    converged: bool

    def survival_at(self, times: npt.ArrayLike) -> pd.DataFrame:
        """Bounds of S(t): time, lower, upper; they differ inside an interval of the table only."""
        query = np.atleast_1d(np.asarray(times, dtype=np.float64))
        left, right, mass = (
            self.table[name].to_numpy() for name in ("left", "right", "probability")
        )
        # By t has happened for certain what ends by t, perhaps what begins before t.
        surely = (right[None, :] <= query[:, None]) @ mass
        perhaps = ((left[None, :] < query[:, None]) | (right[None, :] <= query[:, None])) @ mass
        return pd.DataFrame({"time": query, "lower": 1 - perhaps, "upper": 1 - surely})

    def quantile(self, p: float = 0.5) -> tuple[float, float] | None:
        """Interval (left, right] in which S falls to 1 - p or below; None beyond follow-up."""
        if not 0 < p < 1:
            raise ValueError("p must lie between 0 and 1.")
        reached = np.flatnonzero(self.table["survival"].to_numpy() <= 1 - p + LEVEL_TOLERANCE)
        left, right = (float(self.table[name].iloc[reached[0]]) for name in ("left", "right"))
        return None if np.isinf(right) else (left, right)


def turnbull(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> Turnbull:
    """Nonparametric maximum likelihood for interval-censored times (Turnbull 1976).

    Parameters
    ----------
    left : shape (n,)
        Last examination without the event (0 if there was none), any unit.
    right : shape (n,)
        First examination with it; infinite or missing if the event was not seen. The event lies
        in (left, right]; right = left means that it happened exactly then (a death).
    entry : shape (n,), optional
        Late entry: in the data only because the event came after this time, which is at most the
        left end. Zero means from the origin.
    weights : shape (n,), optional
        Positive case weights.

    Returns
    -------
    Turnbull
        Probability can lie only in the intervals from a left end to the right end, or time of
        entry, that follows it directly (Frydman 1994). The likelihood is maximised by constrained
        Newton steps, which unlike self-consistency end at the maximum and say so. As for a
        Kaplan-Meier curve with late entry, nothing is left once nobody of those under observation
        is known to have survived.

    Raises
    ------
    InvalidSurvivalInput
        For empty input, lengths that differ, left ends that are missing, infinite or negative,
        right ends before the left, entry after the left end or, of an exact time, not before it,
        and weights that are not positive.
    """
    rows = _rows(left, right, entry, weights)
    return _maximum(rows, rows.weight)


def turnbull_median(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
    n_resamples: int = 500,
    seed: int = 20261122,
    level: float = 0.95,
) -> Estimate:
    """Median by Turnbull's estimate with a bootstrap interval.

    Parameters
    ----------
    left, right, entry, weights
        As `turnbull`.
    sampling
        Whether weights are sampling weights: then rows are resampled with their weights, else as
        many patients as the weights stand for. By default they are unless all are whole.
    n_resamples, seed
        Of the percentile bootstrap over patients. It is approximate: the estimate does not
        converge at the usual rate, and no better interval is in common use.

    Returns
    -------
    Estimate
        The right end of the interval the median lies in: the examination at which it would be
        recorded, so that it compares with a Kaplan-Meier median of recorded dates. `method` names
        the whole interval. Value and limits are None where not reached.

    Raises
    ------
    InvalidSurvivalInput
        As `turnbull`.
    """
    if n_resamples < 1:
        raise ValueError("n_resamples must be at least 1.")
    normal_multiplier(level)
    given = _rows(left, right, entry, weights)
    drawing = order_for_drawing(*given)
    rows = _Rows(*(column[drawing] for column in given))
    found = _maximum(rows, rows.weight).quantile()
    whole = bool(np.all(rows.weight == np.floor(rows.weight)))
    sampled = not whole if sampling is None else sampling
    n = len(rows.low) if sampled else int(rows.weight.sum())
    chance = np.ones(len(rows.low)) if sampled else rows.weight
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(n, chance / chance.sum(), size=n_resamples)
    medians = np.empty(n_resamples)
    for index, count in enumerate(counts):
        resampled = _maximum(rows, count * rows.weight if sampled else count).quantile()
        medians[index] = np.inf if resampled is None else resampled[1]
    limits = np.quantile(
        medians, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf"
    ).tolist()
    lower, upper = (limit if np.isfinite(limit) else None for limit in limits)
    where = "" if found is None else f", median in ({found[0]:g}, {found[1]:g}]"
    return Estimate(
        value=None if found is None else found[1],
        lower=lower,
        upper=upper,
        std_error=None,
        method="Turnbull, right end of the interval"
        + where
        + f"; percentile bootstrap ({n_resamples} resamples, seed {seed})",
    )


class _Rows(NamedTuple):
    """Checked columns, shape (n,) each."""

    low: FloatArray
    high: FloatArray
    entry: FloatArray
    weight: FloatArray


def _rows(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    entry: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
) -> _Rows:
    low, high = numeric(left, "left ends"), numeric(right, "right ends")
    n = len(low)
    if n == 0:
        raise InvalidSurvivalInput("There are no patients to analyse.")
    require_length(high, n, "right ends")
    refuse(~np.isfinite(low), "left ends are missing or not finite")
    refuse(low < 0, "left ends are negative")
    high = np.where(np.isnan(high), np.inf, high)
    refuse(high < low, "right ends are before the left ends")
    entered = np.zeros(n) if entry is None else numeric(entry, "entry times")
    require_length(entered, n, "entry times")
    refuse(~np.isfinite(entered), "entry times are missing or not finite")
    entered = np.maximum(entered, 0.0)
    refuse(entered > low, "entry times are after the left ends")
    refuse((entered > 0) & (entered == high), "entry times are not before the exact times")
    weight = np.ones(n) if weights is None else numeric(weights, "weights")
    require_length(weight, n, "weights")
    refuse(~(np.isfinite(weight) & (weight > 0)), "weights are missing, not finite or not positive")
    return _Rows(low, high, entered, weight)


def _maximum(rows: _Rows, weights: FloatArray) -> Turnbull:
    columns = np.column_stack(rows[:3])[weights > 0]
    distinct, place = np.unique(columns, axis=0, return_inverse=True)
    weight = np.bincount(place.ravel(), weights[weights > 0]).astype(np.float64)
    low, high, entry = distinct.T
    start, end = _candidates(low, high, entry)
    exact = low == high
    # Candidate (s, e] lies inside (l, r] or is the exact time l = r = s = e.
    inside = (start[None, :] >= low[:, None]) & (end[None, :] <= high[:, None])
    inside &= exact[:, None] | (end[None, :] > low[:, None])
    # It is survived if it ends by l and lies after entry: who enters at v is seen from just after.
    before = (end[None, :] <= low[:, None]) & ~inside
    survived = before & ((start[None, :] >= entry[:, None]) & (end[None, :] > entry[:, None]))
    survived |= before & (entry[:, None] == 0)
    theta, loglik, converged = _climb(inside, survived, np.isfinite(high), weight)
    survival = np.exp(-np.cumsum(theta))
    mass = -np.diff(survival, prepend=1.0)
    mass = np.where(mass < NEGLIGIBLE, 0.0, mass)
    mass /= mass.sum()
    kept = mass > 0
    left = 1 - np.cumsum(mass[kept])
    left[-1] = 0.0
    return Turnbull(
        n=len(columns),
        table=pd.DataFrame(
            {
                "left": start[kept],
                "right": end[kept],
                "probability": mass[kept],
                "survival": left,
            }
        ),
        loglik=loglik,
        converged=converged,
    )


def _candidates(
    low: FloatArray, high: FloatArray, entry: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Intervals from a left end to the right end, or entry, that comes next, nothing between."""
    late = entry[entry > 0]
    place = np.r_[low, high, late]
    # At one value: the left end of an exact time, then right ends, then open left ends.
    rank = np.r_[np.where(low == high, 0, 2), np.ones(len(high) + len(late), dtype=np.int64)]
    order = np.lexsort((rank, place))
    is_left = order < len(low)
    pair = np.flatnonzero(is_left[:-1] & ~is_left[1:])
    return place[order[pair]], place[order[pair + 1]]


def _climb(
    inside: BoolArray, survived: BoolArray, happened: BoolArray, weight: FloatArray
) -> tuple[FloatArray, float, bool]:
    """Maximise the likelihood given entry over the cumulative hazard that each candidate carries.

    Of a row it is the product of exp(-theta) over the candidates it survived since entry, times
    1 - exp(-sum of theta) over those its event may lie in: concave in theta >= 0, where in the
    probabilities it is not once there is late entry. Newton steps projected on theta >= 0
    (Bertsekas 1982, SIAM J Control Optim 20:221).

    Returns
    -------
    theta, log-likelihood, whether the maximum was found. Where nobody is known to have survived a
    candidate theta is infinite if an event may lie in it and in the last one; else it is zero.
    """
    lost: FloatArray = weight @ survived
    endless = (lost == 0) & inside[happened].any(axis=0)
    endless[-1] = True
    open_rows = ~inside[:, endless].any(axis=1)
    columns = np.flatnonzero(~endless & (lost > 0))
    a, w = inside[np.ix_(open_rows, columns)].astype(np.float64), weight[open_rows]
    b, n = lost[columns], float(weight.sum())
    theta = np.full(len(columns), 1 / max(inside.shape[1], 1))

    def height(at: FloatArray) -> float:
        with np.errstate(divide="ignore"):
            return float(w @ np.log(-np.expm1(-(a @ at))) - b @ at)

    here, damping, converged = height(theta), LEAST_DAMPING, False
    for _ in range(MAX_ITERATIONS):
        odds = 1 / np.expm1(a @ theta)
        slope = (w * odds) @ a - b
        bound = (theta <= 0) & (slope <= 0)
        steepest = np.max(np.abs(slope) * np.where(bound, 0.0, np.maximum(theta, FLOOR)), initial=0)
        if steepest <= TOLERANCE * n:
            converged = True
            break
        pinned = (theta <= FLOOR) & (slope < 0)
        free = np.flatnonzero(~pinned)
        curved = (a[:, free].T * (w * odds * (1 + odds))) @ a[:, free]
        # In this metric the step alone is that of self-consistency, which always climbs.
        metric = np.diag(b[free] / np.maximum(theta[free], FLOOR))
        step = np.where(pinned, -theta, 0.0)
        while damping <= MOST_DAMPING:
            step[free] = np.linalg.solve(curved + damping * metric, slope[free])
            moved = np.maximum(theta + step, 0.0)
            there = height(moved)
            if there >= here - ROUNDING * abs(here):
                break
            damping *= 10
        else:
            # Rounding allows no higher.
            converged = steepest <= ROUNDING_TOLERANCE * n
            break
        theta, here, damping = moved, there, max(damping / 30, LEAST_DAMPING)
    found = np.where(endless, np.inf, 0.0)
    found[columns] = theta
    return found, here, converged
