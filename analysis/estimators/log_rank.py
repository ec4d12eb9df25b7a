"""Log-rank and its weighted relatives, stratified, for trend, and in pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimators.distributions import chi_square_tail
from analysis.estimators.multiplicity import adjust_p_values
from analysis.estimators.results import TestResult
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    group_codes,
    reverse_cumsum,
    survival_rows,
)

Weighting = Literal["log-rank", "gehan-breslow", "tarone-ware", "peto", "fleming-harrington"]

#: Eigenvalues of a covariance below this share of the largest are zero.
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class GroupTable:
    """At risk and events by group at the D event times of one stratum; columns are groups.

    Attributes
    ----------
    at_risk, events : shape (D, k)
        Sums of the weights.
    squares : shape (D, k)
        Sums of the squared weights of those at risk; `at_risk` itself without sampling weights.
    n, deaths : shape (D,)
        At risk and events of all groups; with sampling weights the numbers of rows.
    """

    at_risk: FloatArray
    events: FloatArray
    squares: FloatArray
    n: FloatArray
    deaths: FloatArray

    @property
    def expected(self) -> FloatArray:
        """Events each group would have if they fell on those at risk alike, shape (D, k)."""
        share = self.at_risk / self.at_risk.sum(axis=1, keepdims=True)
        expected: FloatArray = share * self.events.sum(axis=1, keepdims=True)
        return expected


def log_rank(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    weighting: Weighting = "log-rank",
    rho: float = 0,
    gamma: float = 0,
    strata: npt.ArrayLike | None = None,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
    trend: bool = False,
) -> TestResult:
    """Weighted log-rank test of k groups (Mantel 1966; hypergeometric variance).

    Parameters
    ----------
    time, event, entry, weights
        As `risk_table`.
    sampling
        Whether weights are sampling weights or frequencies; decided as by `kaplan_meier`. The
        variance with sampling weights is that of Xie and Liu (2005, Stat Med 24:3089): events are
        rearranged among the rows at risk, each with its weight.
    group : shape (n,)
        Any labels; categoricals keep their order, others are sorted.
    weighting
        The weight at an event time with n at risk and pooled survival S just before:
        "log-rank" 1; "gehan-breslow" n; "tarone-ware" sqrt(n); "peto" the pooled
        prod(1 - d/(n+1)) up to and including t (Peto and Peto 1972); "fleming-harrington"
        S^rho (1-S)^gamma, where rho=1, gamma=0 is R's survdiff(rho=1).
    strata : shape (n,), optional
        Scores and variances are added over strata.
    trend
        One degree of freedom, scores 1..k in the order of the groups (SPSS's metric).

    Returns
    -------
    TestResult
        A group that is never at risk at an event together with another is not counted in the
        degrees of freedom. The table holds observed and expected events without the weighting of
        the event times.

    Raises
    ------
    InvalidSurvivalInput
        As `risk_table`; also for fewer than two groups or missing labels.
    """
    rows = survival_rows(time, event, entry=entry, weights=weights)
    labels, code = group_codes(group, len(rows), "group labels")
    if len(labels) < 2:
        raise InvalidSurvivalInput("A log-rank test needs at least two groups.")
    k = len(labels)
    score, variance = np.zeros(k), np.zeros((k, k))
    observed, expected = np.zeros(k), np.zeros(k)
    for table in group_tables(rows, code, k, strata, sampling=rows.is_sampled(sampling)):
        weight = weights_of(table, weighting, rho, gamma)
        stratum_score, stratum_variance = score_and_variance(table, weight)
        score += stratum_score
        variance += stratum_variance
        observed += table.events.sum(axis=0)
        expected += table.expected.sum(axis=0)

    if trend:
        scale = np.arange(1.0, k + 1)
        score, variance = np.array([scale @ score]), np.array([[scale @ variance @ scale]])
    statistic, df = quadratic_form(score, variance)
    return TestResult(
        statistic=statistic,
        degrees_of_freedom=df,
        p_value=chi_square_tail(statistic, df),
        method=_method(weighting, rho, gamma, strata is not None, trend),
        table=pd.DataFrame(
            {
                "group": labels,
                "n": np.bincount(code, minlength=k),
                "observed": observed if rows.weights is not None else observed.astype(np.int64),
                "expected": expected,
            }
        ),
    )


def pairwise_log_rank(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    adjust: str = "holm",
    weighting: Weighting = "log-rank",
    rho: float = 0,
    gamma: float = 0,
    strata: npt.ArrayLike | None = None,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
) -> pd.DataFrame:
    """Log-rank of every pair of groups, each on the patients of that pair only.

    Parameters
    ----------
    adjust
        As `adjust_p_values`; the family is all pairs.
    weighting, rho, gamma, strata, entry, weights, sampling
        As `log_rank`.

    Returns
    -------
    DataFrame with group_a, group_b, statistic, p_value, p_adjusted; one row a pair.

    Raises
    ------
    InvalidSurvivalInput
        As `log_rank`.
    """
    rows = survival_rows(time, event, entry=entry, weights=weights)
    labels, code = group_codes(group, len(rows), "group labels")
    if len(labels) < 2:
        raise InvalidSurvivalInput("A log-rank test needs at least two groups.")
    times = rows.grid[rows.exit_code]
    level = None if strata is None else group_codes(strata, len(rows), "strata")[1]
    records = []
    for a, b in combinations(range(len(labels)), 2):
        pair = (code == a) | (code == b)
        test = log_rank(
            times[pair],
            rows.event[pair],
            code[pair],
            weighting=weighting,
            rho=rho,
            gamma=gamma,
            strata=None if level is None else level[pair],
            entry=None if rows.entry is None else rows.entry[pair],
            weights=None if rows.weights is None else rows.weights[pair],
            sampling=rows.is_sampled(sampling),
        )
        records.append((labels[a], labels[b], test.statistic, test.p_value))
    table = pd.DataFrame(records, columns=["group_a", "group_b", "statistic", "p_value"])
    table["p_adjusted"] = adjust_p_values(table["p_value"].to_numpy(), adjust)
    return table


def score_and_variance(table: GroupTable, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum of w (O - E) by group, and its hypergeometric covariance matrix."""
    share = table.at_risk / table.at_risk.sum(axis=1, keepdims=True)
    score = weight @ (table.events - table.expected)
    # One event moves the score of group g by w (1{own group} - share of g): the variance over the
    # rows at risk, (sum over groups r of their squares q_r) of that, for d events without return.
    n, deaths = table.n, table.deaths
    factor = (weight**2 * deaths * (n - deaths) / (n * np.maximum(n - 1, 1)))[:, None]
    squares = table.squares
    crossed = (squares * factor).T @ share
    variance = (share * factor * squares.sum(axis=1, keepdims=True)).T @ share - crossed - crossed.T
    # Summed without the own share, a group that is alone or absent throughout has exactly none.
    others = squares.sum(axis=1, keepdims=True) - squares
    own = factor * (squares * (1 - share) ** 2 + others * share**2)
    np.fill_diagonal(variance, own.sum(axis=0))
    return score, variance


def quadratic_form(score: FloatArray, variance: FloatArray) -> tuple[float, int]:
    """Score' V^- score and the rank of V: groups without information drop out."""
    values, vectors = np.linalg.eigh(variance)
    kept = values > RANK_TOLERANCE * max(values[-1], 0.0)
    if not kept.any():
        return 0.0, 0
    projected = vectors[:, kept].T @ score
    return float(np.sum(projected**2 / values[kept])), int(kept.sum())


def group_tables(
    rows: SurvivalRows, code: IntArray, k: int, strata: npt.ArrayLike | None, *, sampling: bool
) -> Iterator[GroupTable]:
    """One table a stratum, over the event times only.

    Parameters
    ----------
    sampling
        Whether the rows' weights are sampling weights, not frequencies.
    """
    if strata is None:
        yield _group_table(rows, code, k, slice(None), sampling)
        return
    levels, stratum = group_codes(strata, len(rows), "strata")
    for level in range(len(levels)):
        yield _group_table(rows, code, k, stratum == level, sampling)


def _group_table(
    rows: SurvivalRows,
    code: IntArray,
    k: int,
    chosen: slice | npt.NDArray[np.bool_],
    sampling: bool,
) -> GroupTable:
    group, exit_code, event = code[chosen], rows.exit_code[chosen], rows.event[chosen]
    weights = None if rows.weights is None else rows.weights[chosen]
    entry_code = None if rows.entry_code is None else rows.entry_code[chosen]
    shape = (len(rows.grid), k)

    def totals(cell: IntArray, values: FloatArray | None) -> FloatArray:
        counts = np.bincount(cell * k + group, weights=values, minlength=shape[0] * k)
        return np.asarray(counts.reshape(shape), dtype=np.float64)

    def at_risk(values: FloatArray | None) -> FloatArray:
        found = reverse_cumsum(totals(exit_code, values))
        if entry_code is not None:
            found[:-1] -= reverse_cumsum(totals(entry_code, values))[1:]
        return found

    events = totals(exit_code, event if weights is None else event * weights)
    happened = events.sum(axis=1) > 0
    weighted, events = at_risk(weights)[happened], events[happened]
    if not sampling or weights is None:
        return GroupTable(weighted, events, weighted, weighted.sum(axis=1), events.sum(axis=1))
    return GroupTable(
        weighted,
        events,
        squares=at_risk(weights**2)[happened],
        n=at_risk(None)[happened].sum(axis=1),
        deaths=totals(exit_code, event)[happened].sum(axis=1),
    )


def weights_of(table: GroupTable, weighting: str, rho: float, gamma: float) -> FloatArray:
    """Weight at each event time of a table; see `log_rank`."""
    n: FloatArray = table.at_risk.sum(axis=1)
    deaths: FloatArray = table.events.sum(axis=1)
    if weighting == "log-rank":
        return np.ones(len(n))
    if weighting == "gehan-breslow":
        return n
    if weighting == "tarone-ware":
        return np.asarray(np.sqrt(n))
    if weighting == "peto":
        return np.asarray(np.cumprod(1 - deaths / (n + 1)))
    if weighting == "fleming-harrington":
        if rho < 0 or gamma < 0:
            raise ValueError("rho and gamma must not be negative.")
        before = np.r_[1.0, np.cumprod(1 - deaths / n)[:-1]] if len(n) else n
        weight: FloatArray = before**rho * (1 - before) ** gamma
        return weight
    raise ValueError(f"{weighting!r} is no known weighting of the log-rank test.")


def _method(weighting: str, rho: float, gamma: float, stratified: bool, trend: bool) -> str:
    name = {
        "log-rank": "log-rank test",
        "gehan-breslow": "Gehan-Breslow test",
        "tarone-ware": "Tarone-Ware test",
        "peto": "Peto-Peto test",
        "fleming-harrington": f"Fleming-Harrington test (rho={rho:g}, gamma={gamma:g})",
    }[weighting]
    return ("stratified " if stratified else "") + name + (" for trend" if trend else "")
