"""Harrell's and Uno's C over the pairs under observation together, with their jackknife error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.estimators.distributions import normal_multiplier
from analysis.estimators.results import Estimate
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    numeric,
    refuse,
    require_length,
    survival_rows,
)


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Weighted comparable pairs that each row takes part in, shape (n,) each."""

    concordant: FloatArray
    discordant: FloatArray
    tied: FloatArray


def concordance_index(
    strata: list[tuple[IntArray, SurvivalRows]],
    predictor: FloatArray,
    *,
    weights: FloatArray | None = None,
    cluster: IntArray | None = None,
    death_weight: FloatArray | None = None,
    frequencies: bool = False,
    method: str = "Harrell's C, infinitesimal jackknife standard error",
    level: float = 0.95,
) -> Estimate:
    """Share of comparable pairs in which the one who dies first had the higher predictor.

    Parameters
    ----------
    strata
        For each stratum its row numbers and its survival rows; pairs are formed within strata.
        A pair is comparable if one dies while the other is under observation and outlives them
        (Harrell 1982; with late entry, as R's survival::concordance).
    predictor : shape (n,)
        Higher means higher risk; a tie counts one half.
    weights, cluster : shape (n,), optional
    death_weight : shape (n,), optional
        Factor of every pair whose first death is that row's.
    frequencies
        Whether a weight stands for as many rows; else each row is one, however heavy.

    Returns
    -------
    Estimate
        Standard error from the infinitesimal jackknife (Therneau and Atkinson 2020, "Concordance"
        vignette of R's survival). Value None without a comparable pair.
    """
    n = len(predictor)
    row_weight = np.ones(n) if weights is None else weights
    concordant, discordant, tied = np.zeros(n), np.zeros(n), np.zeros(n)
    for rows, survival in strata:
        counts = pair_counts(
            survival,
            predictor[rows],
            row_weight[rows],
            None if death_weight is None else death_weight[rows],
        )
        concordant[rows], discordant[rows], tied[rows] = (
            counts.concordant,
            counts.discordant,
            counts.tied,
        )
    # Every pair is seen from both of its members.
    pairs = float(row_weight @ (concordant + discordant + tied)) / 2
    if pairs <= 0:
        return Estimate(None, None, None, None, method)
    value = float(row_weight @ (concordant + tied / 2)) / 2 / pairs
    influence = (
        row_weight * (concordant + tied / 2 - value * (concordant + discordant + tied)) / pairs
    )
    if frequencies:
        influence = influence / np.sqrt(row_weight)
    if cluster is not None:
        influence = np.bincount(cluster, weights=influence).astype(np.float64)
    std_error = float(np.sqrt(np.sum(influence**2)))
    margin = normal_multiplier(level) * std_error
    return Estimate(value, max(value - margin, 0.0), min(value + margin, 1.0), std_error, method)


def uno_concordance(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    predictor: npt.ArrayLike,
    *,
    tau: float | None = None,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """Uno's C: pairs weighted so that the value does not depend on the censoring (Uno et al. 2011).

    Parameters
    ----------
    time, event, weights, sampling
        As `kaplan_meier`; the censoring is estimated with the same weights.
    predictor : shape (n,)
        Higher means higher risk; a tie counts one half.
    entry
        Refused where anybody enters late: 1 / G(t)^2 makes up for pairs lost to censoring, not for
        those lost to truncation, and no weight that does has been published (R refuses too).
    tau
        Deaths up to and including this time count; by default all.

    Returns
    -------
    Estimate
        A death at t has the weight 1 / G(t)^2, G the Kaplan-Meier curve of the censoring, deaths
        before censorings at one time (R's concordance(timewt="n/G2")). The standard error takes
        G as known, as R does.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also for predictors that are missing or not finite, and for late entry.
    """
    rows = survival_rows(time, event, entry=entry, weights=weights)
    if rows.entry is not None and np.any(rows.entry > 0):
        raise InvalidSurvivalInput(
            "Uno's C is not defined with late entry; Harrell's C of a Cox model with late entry is "
            "(CoxModel.concordance)."
        )
    values = numeric(predictor, "predictors")
    require_length(values, len(rows), "predictors")
    refuse(~np.isfinite(values), "predictors are missing or not finite")
    weight = np.ones(len(rows)) if rows.weights is None else rows.weights
    exits, deaths = rows.leave(), rows.leave(rows.event * weight)
    # Who dies at t is no longer at risk of being censored then.
    at_risk = rows.at_risk() - deaths
    hazard = np.zeros(len(exits))
    np.divide(exits - deaths, at_risk, out=hazard, where=at_risk > 0)
    g = np.r_[1.0, np.cumprod(1 - hazard)[:-1]]
    counted = np.ones(len(g)) if tau is None else (rows.grid <= tau).astype(np.float64)
    by_time = np.divide(counted, g**2, out=np.zeros(len(g)), where=g > 0)
    return concordance_index(
        [(np.arange(len(rows)), rows)],
        values,
        weights=weight,
        death_weight=by_time[rows.exit_code],
        frequencies=not rows.is_sampled(sampling),
        method="Uno's C"
        + ("" if tau is None else f" to {tau:g}")
        + ", infinitesimal jackknife standard error",
        level=level,
    )


def pair_counts(
    survival: SurvivalRows,
    predictor: FloatArray,
    weight: FloatArray,
    death_weight: FloatArray | None = None,
) -> PairCounts:
    """Count, for each row, its comparable pairs by agreement with the predictor.

    A pair counts the weight of the other row times the `death_weight` of the one that dies first.
    """
    rank = np.unique(predictor, return_inverse=True)[1].astype(np.int64)
    dead = np.flatnonzero(survival.event == 1)
    factor = np.ones(len(dead)) if death_weight is None else death_weight[dead]
    dead_weight = weight[dead] * factor
    # At one time deaths come before censorings, so that a death and a censoring are comparable.
    exit_place = 2 * survival.exit_code + (survival.event == 0)
    entry_place = (
        np.full(len(rank), -1) if survival.entry_code is None else 2 * survival.entry_code - 1
    )
    late = np.flatnonzero(entry_place >= 0)

    def later(sign: int) -> FloatArray:
        """For each death: weight of those at risk who outlive it and rank below (above) it."""
        total = _weight_beyond(exit_place, sign * rank, weight, exit_place[dead], sign * rank[dead])
        total -= _weight_beyond(
            entry_place[late], sign * rank[late], weight[late], exit_place[dead], sign * rank[dead]
        )
        return total * factor

    def earlier(sign: int) -> FloatArray:
        """For each row: weight of the deaths it was at risk for that rank above (below) it."""
        total = _weight_beyond(
            -exit_place[dead], -sign * rank[dead], dead_weight, -exit_place, -sign * rank
        )
        total[late] -= _weight_beyond(
            -exit_place[dead],
            -sign * rank[dead],
            dead_weight,
            -entry_place[late] - 1,
            -sign * rank[late],
        )
        return total

    concordant, discordant = earlier(1), earlier(-1)
    comparable = _all_beyond(-exit_place[dead], dead_weight, -exit_place)
    comparable[late] -= _all_beyond(-exit_place[dead], dead_weight, -entry_place[late] - 1)
    concordant[dead] += later(1)
    discordant[dead] += later(-1)
    comparable[dead] += factor * _all_beyond(exit_place, weight, exit_place[dead])
    comparable[dead] -= factor * _all_beyond(entry_place[late], weight[late], exit_place[dead])
    return PairCounts(concordant, discordant, comparable - concordant - discordant)


def _all_beyond(place: IntArray, weight: FloatArray, query_place: IntArray) -> FloatArray:
    """Total weight of the points with place > query_place."""
    order = np.argsort(place, kind="stable")
    cumulative = np.r_[0.0, np.cumsum(weight[order])]
    position = np.searchsorted(place[order], query_place, side="right")
    total: FloatArray = cumulative[-1] - cumulative[position]
    return total


def _weight_beyond(
    place: IntArray,
    rank: IntArray,
    weight: FloatArray,
    query_place: IntArray,
    query_rank: IntArray,
) -> FloatArray:
    """Total weight of the points with place > query_place and rank < query_rank.

    Points and queries are split by the bits of their rank, highest first: of two that part at a
    bit, the one with 0 ranks lower. n log n in whole-array steps, no loop over patients.
    """
    n_points, n_queries = len(place), len(query_place)
    result = np.zeros(n_queries)
    if n_points == 0 or n_queries == 0:
        return result
    ranks = np.concatenate([rank, query_rank])
    ranks -= ranks.min()
    weights = np.concatenate([weight, np.zeros(n_queries)])
    # Farthest first; at one place the queries come first, so that the comparison is strict.
    is_point = np.r_[np.ones(n_points, dtype=np.int64), np.zeros(n_queries, dtype=np.int64)]
    order = np.lexsort((is_point, -np.concatenate([place, query_place])))
    total = np.zeros(n_points + n_queries)
    for bit in range(int(ranks.max()).bit_length() - 1, -1, -1):
        here = ranks[order]
        low = (here >> bit) & 1 == 0
        passed = np.r_[0.0, np.cumsum(np.where(low, weights[order], 0.0))]
        node = here >> (bit + 1)
        starts = np.r_[True, node[1:] != node[:-1]]
        node_start = np.flatnonzero(starts)[np.cumsum(starts) - 1]
        total[order] += np.where(low, 0.0, passed[:-1] - passed[node_start])
        order = order[np.argsort(here >> bit, kind="stable")]
    return total[n_points:]
