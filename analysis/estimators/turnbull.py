"""Turnbull's estimate for events known only to lie between two examinations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import nnls

from analysis.estimators.distributions import normal_multiplier
from analysis.estimators.results import Estimate
from analysis.estimators.risk_table import (
    FloatArray,
    InvalidSurvivalInput,
    numeric,
    refuse,
    require_length,
)

MAX_ITERATIONS = 500
MAX_HALVINGS = 30
#: The log-likelihood is within this, for each patient, of its maximum (Kuhn-Tucker bound).
GAP_TOLERANCE = 1e-9
#: Relative loss of log-likelihood that is rounding.
ROUNDING = 1e-14
#: Probabilities below this are put to zero at the end.
NEGLIGIBLE = 1e-9
#: A curve has reached a level when it is above it by rounding only.
LEVEL_TOLERANCE = 1e-9


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


def turnbull(left: npt.ArrayLike, right: npt.ArrayLike) -> Turnbull:
    """Nonparametric maximum likelihood for interval-censored times (Turnbull 1976).

    Parameters
    ----------
    left : shape (n,)
        Last examination without the event (0 if there was none), any unit.
    right : shape (n,)
        First examination with it; infinite or missing if the event was not seen. The event lies
        in (left, right]; right = left means that it happened exactly then (a death).

    Returns
    -------
    Turnbull
        Probability can lie only in the intervals from a left end to the right end that follows it
        directly. The likelihood is maximised by constrained Newton steps (Wang 2007), which unlike
        self-consistency end at the maximum and say so.

    Raises
    ------
    InvalidSurvivalInput
        For empty input, lengths that differ, left ends that are missing, infinite or negative,
        and right ends before the left.
    """
    low, high = _intervals(left, right)
    return _maximum(low, high, np.ones(len(low)))


def turnbull_median(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    *,
    n_resamples: int = 500,
    seed: int = 20261122,
    level: float = 0.95,
) -> Estimate:
    """Median by Turnbull's estimate with a bootstrap interval.

    Parameters
    ----------
    left, right
        As `turnbull`.
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
    low, high = _intervals(left, right)
    found = _maximum(low, high, np.ones(len(low))).quantile()
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(low), np.full(len(low), 1 / len(low)), size=n_resamples)
    medians = np.empty(n_resamples)
    for index, count in enumerate(counts):
        drawn = count > 0
        resampled = _maximum(low[drawn], high[drawn], count[drawn].astype(np.float64)).quantile()
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


def _intervals(left: npt.ArrayLike, right: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    low, high = numeric(left, "left ends"), numeric(right, "right ends")
    if len(low) == 0:
        raise InvalidSurvivalInput("There are no patients to analyse.")
    require_length(high, len(low), "right ends")
    refuse(~np.isfinite(low), "left ends are missing or not finite")
    refuse(low < 0, "left ends are negative")
    high = np.where(np.isnan(high), np.inf, high)
    refuse(high < low, "right ends are before the left ends")
    return low, high


def _maximum(low: FloatArray, high: FloatArray, weight: FloatArray) -> Turnbull:
    distinct, row = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    weight = np.bincount(row.ravel(), weight).astype(np.float64)
    start, end = _candidates(distinct[:, 0], distinct[:, 1])
    # Candidate (s, e] lies inside (l, r] or is the exact time l = r = s = e.
    exact = distinct[:, 0] == distinct[:, 1]
    inside = (start[None, :] >= distinct[:, :1]) & (end[None, :] <= distinct[:, 1:])
    inside &= exact[:, None] | (end[None, :] > distinct[:, :1])
    mass, loglik, converged = _climb(inside.astype(np.float64), weight)
    mass = np.where(mass < NEGLIGIBLE, 0.0, mass)
    mass /= mass.sum()
    kept = mass > 0
    survival = 1 - np.cumsum(mass[kept])
    survival[-1] = 0.0
    return Turnbull(
        n=int(weight.sum()),
        table=pd.DataFrame(
            {
                "left": start[kept],
                "right": end[kept],
                "probability": mass[kept],
                "survival": survival,
            }
        ),
        loglik=loglik,
        converged=converged,
    )


def _candidates(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Intervals from a left end to the right end that comes next, with nothing between."""
    n = len(low)
    place = np.r_[low, high]
    # At one value: the left end of an exact time, then right ends, then open left ends.
    rank = np.r_[np.where(low == high, 0, 2), np.ones(n, dtype=np.int64)]
    order = np.lexsort((rank, place))
    is_left = order < n
    pair = np.flatnonzero(is_left[:-1] & ~is_left[1:])
    return place[order[pair]], place[order[pair + 1]]


def _climb(inside: FloatArray, weight: FloatArray) -> tuple[FloatArray, float, bool]:
    """Maximise sum of w log(inside @ mass) over the simplex.

    Each step minimises the quadratic approximation on the simplex, as non-negative least squares
    (Wang 2007, J R Stat Soc B 69:185).
    """
    n, size = float(weight.sum()), inside.shape[1]
    mass = np.full(size, 1 / size)
    fitted = inside @ mass
    loglik = float(weight @ np.log(fitted))
    root = np.sqrt(weight)
    for _ in range(MAX_ITERATIONS):
        ratio = inside / fitted[:, None]
        # No distribution can gain more than this.
        if float(np.max(weight @ ratio)) - n <= GAP_TOLERANCE * n:
            return mass, loglik, True
        scaled = root[:, None] * (ratio - 2) / np.sqrt(n)
        target, _ = nnls(np.vstack([scaled, np.ones(size)]), np.r_[np.zeros(len(weight)), 1.0])
        step = target / target.sum() - mass
        for halving in range(MAX_HALVINGS):
            moved = mass + step / 2**halving
            there = inside @ moved
            if np.all(there > 0):
                gained = float(weight @ np.log(there))
                if gained >= loglik - ROUNDING * abs(loglik):
                    break
        else:
            return mass, loglik, False
        mass, fitted, loglik = moved, there, gained
    return mass, loglik, False
