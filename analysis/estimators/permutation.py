"""Permutation log-rank test, for groups too small for the chi-square approximation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, islice
from math import comb
from typing import Literal

import numpy as np
import numpy.typing as npt

from analysis.estimators.log_rank import RANK_TOLERANCE, log_rank
from analysis.estimators.results import TestResult
from analysis.estimators.risk_table import (
    FloatArray,
    IntArray,
    InvalidSurvivalInput,
    SurvivalRows,
    group_codes,
    order_for_drawing,
    survival_rows,
)

Statistic = Literal["chi-square", "score"]

#: Statistics closer than this, relative to the observed one, are ties.
TIE_TOLERANCE = 1e-9

#: Most patients of two groups for which a sum of scores is exact: two million subsets a half.
MOST_HALVED = 42

#: Arrangements are evaluated in blocks of about this many cells (rows x patients x groups).
CELLS_PER_BLOCK = 2_000_000


def permutation_log_rank(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    n_resamples: int = 20000,
    seed: int = 20261122,
    exact_up_to: int = 200000,
    statistic: Statistic = "chi-square",
) -> TestResult:
    """Log-rank test whose P comes from rearranging the group labels over the observed times.

    Parameters
    ----------
    time, event, group, entry
        As `log_rank`. A patient keeps the time of entry when the labels are rearranged.
    n_resamples, seed
        Monte-Carlo arrangements and the seed of their generator.
    exact_up_to
        With at most this many distinct arrangements all are enumerated and P is exact; otherwise
        P = (1 + as extreme) / (1 + resamples) (Phipson and Smyth 2010). The score of two groups
        of together at most 42 patients is exact however many there are.
    statistic
        What is compared. "chi-square" is the log-rank statistic with its variance computed anew
        for each arrangement: valid asymptotically even if censoring differs between the groups
        (Neuhaus 1993), and the same number as the one reported. "score" is the linear rank
        statistic with the permutation variance, as R's coin::logrank_test.

    Returns
    -------
    TestResult
        The observed value of that statistic and its degrees of freedom; `method` says whether P
        is exact or Monte-Carlo and from how many arrangements.

    Raises
    ------
    InvalidSurvivalInput
        As `log_rank`.
    """
    if n_resamples < 1:
        raise ValueError("n_resamples must be at least 1.")
    if statistic not in ("chi-square", "score"):
        raise ValueError("statistic must be 'chi-square' or 'score'.")
    rows = survival_rows(time, event, entry=entry)
    labels, code = group_codes(group, len(rows), "group labels")
    if len(labels) < 2:
        raise InvalidSurvivalInput("A log-rank test needs at least two groups.")
    reported = log_rank(time, event, group, entry=entry)
    entered = rows.exit_code * 0 if rows.entry_code is None else rows.entry_code
    ordered = order_for_drawing(rows.exit_code, rows.event, entered)
    evaluate = _Evaluator(rows, ordered, np.bincount(code), statistic)
    observed = evaluate(code[ordered][None, :])[0]
    threshold = observed - TIE_TOLERANCE * max(observed, 1.0)

    sizes = np.bincount(code).tolist()
    n_arrangements = _count(sizes)
    block = max(1, CELLS_PER_BLOCK // (len(rows) * len(labels)))
    if statistic == "score" and len(labels) == 2 and len(rows) <= MOST_HALVED:
        p_value = _exact_by_halves(evaluate.scores, code[ordered] == 0)
        method = f"exact permutation log-rank test ({n_arrangements} arrangements)"
    elif n_arrangements <= exact_up_to:
        extreme = sum(int(np.sum(evaluate(part) >= threshold)) for part in _blocks(sizes, block))
        p_value = extreme / n_arrangements
        method = f"exact permutation log-rank test ({n_arrangements} arrangements)"
    else:
        generator = np.random.default_rng(seed)
        extreme = 0
        for start in range(0, n_resamples, block):
            size = min(block, n_resamples - start)
            shuffled = generator.permuted(np.tile(np.sort(code), (size, 1)), axis=1)
            extreme += int(np.sum(evaluate(shuffled) >= threshold))
        p_value = (1 + extreme) / (1 + n_resamples)
        method = f"Monte-Carlo permutation log-rank test ({n_resamples} resamples, seed {seed})"
    return TestResult(
        statistic=reported.statistic if statistic == "chi-square" else float(observed),
        degrees_of_freedom=reported.degrees_of_freedom,
        p_value=p_value,
        method=method + (", linear rank statistic" if statistic == "score" else ""),
        table=reported.table,
    )


class _Evaluator:
    """Statistics of many arrangements of labels over one set of ordered times at once."""

    def __init__(
        self, rows: SurvivalRows, ordered: IntArray, sizes: IntArray, statistic: Statistic
    ) -> None:
        deaths, n = rows.leave(rows.event), rows.at_risk()
        hazard = np.cumsum(deaths / n)
        exposed = hazard[rows.exit_code]
        if rows.entry_code is not None:
            exposed = exposed - np.r_[0.0, hazard][rows.entry_code]
        self.scores: FloatArray = (rows.event - exposed)[ordered]
        happened = deaths > 0
        exits = np.bincount(rows.exit_code)
        self._exited = (np.cumsum(exits) - exits)[happened]
        self._by_entry = None
        if rows.entry_code is not None:
            self._by_entry = np.argsort(rows.entry_code[ordered], kind="stable")
            enters = np.bincount(rows.entry_code, minlength=len(n))
            self._entered = np.cumsum(enters)[happened]
        self._n = n[happened]
        dying = deaths[happened]
        self._factor = dying * (self._n - dying) / np.maximum(self._n - 1, 1)
        self._sizes = sizes
        self._statistic = statistic

    def __call__(self, arrangements: IntArray) -> FloatArray:
        """Statistic of each row of `arrangements` (shape (b, n), labels in order of time)."""
        k = len(self._sizes)
        indicator = arrangements[:, :, None] == np.arange(k - 1)
        score = np.einsum("bnk,n->bk", indicator, self.scores)
        if self._statistic == "score":
            n = self._sizes.sum()
            share = self._sizes[:-1] / n
            spread = np.sum(self.scores**2) * n / (n - 1)
            variance = spread * (np.diag(share) - np.outer(share, share))
            return _quadratic(score, np.broadcast_to(variance, (len(score), k - 1, k - 1)))
        exited = _running(indicator)
        entered = exited[:, -1:, :]
        if self._by_entry is not None:
            entered = _running(indicator[:, self._by_entry])[:, self._entered]
        at_risk = entered - exited[:, self._exited]
        share = at_risk / self._n[None, :, None]
        weighted = share * self._factor[None, :, None]
        variance = -np.einsum("btj,btk->bjk", weighted, share)
        diagonal = np.arange(k - 1)
        variance[:, diagonal, diagonal] += weighted.sum(axis=1)
        return _quadratic(score, variance)


def _running(indicator: npt.NDArray[np.bool_]) -> IntArray:
    """How many of the first 0, 1, ..., n rows belong to each group, shape (b, n + 1, k)."""
    counts: IntArray = np.cumsum(indicator, axis=1)
    return np.concatenate([np.zeros_like(counts[:, :1]), counts], axis=1)


def _exact_by_halves(scores: FloatArray, first: npt.NDArray[np.bool_]) -> float:
    """P of a sum of scores at least as far from its mean, over all choices of as many rows.

    The sums of all subsets of one half of the rows are matched with those of the other half, so
    that 2 * 2^(n/2) sums stand for all arrangements.
    """
    size, n = int(first.sum()), len(scores)
    centre = float(scores.sum()) * size / n
    gap = abs(float(scores[first].sum()) - centre)
    gap -= TIE_TOLERANCE * max(gap, 1.0)
    if gap <= 0:
        return 1.0
    sums, counts = zip(*(_subsets(part) for part in np.array_split(scores, 2)), strict=True)
    extreme = 0
    for taken in range(size + 1):
        one = sums[0][counts[0] == taken]
        other = np.sort(sums[1][counts[1] == size - taken])
        above = len(other) - np.searchsorted(other, centre + gap - one, side="left")
        below = np.searchsorted(other, centre - gap - one, side="right")
        extreme += int(above.sum() + below.sum())
    return extreme / comb(n, size)


def _subsets(scores: FloatArray) -> tuple[FloatArray, IntArray]:
    """Sum and size of every subset."""
    sums, counts = np.zeros(1), np.zeros(1, dtype=np.int64)
    for score in scores:
        sums, counts = np.r_[sums, sums + score], np.r_[counts, counts + 1]
    return sums, counts


def _quadratic(score: FloatArray, variance: FloatArray) -> FloatArray:
    if score.shape[1] == 1:
        spread = variance[:, 0, 0]
        squared = score[:, 0] ** 2
        result = np.zeros(len(score))
        np.divide(squared, spread, out=result, where=spread > RANK_TOLERANCE)
        return result
    inverse = np.linalg.pinv(variance, rcond=RANK_TOLERANCE, hermitian=True)
    quadratic: FloatArray = np.einsum("bj,bjk,bk->b", score, inverse, score)
    return quadratic


def _count(sizes: list[int]) -> int:
    count, left = 1, sum(sizes)
    for size in sizes:
        count *= comb(left, size)
        left -= size
    return count


def _blocks(sizes: list[int], block: int) -> Iterator[IntArray]:
    """Every assignment of labels 0..k-1 with the given sizes, in arrays of about `block` rows."""
    waiting: list[IntArray] = []
    n_waiting = 0
    for part in _arrange(np.zeros(sum(sizes), dtype=np.int64), np.arange(sum(sizes)), sizes, block):
        waiting.append(part)
        n_waiting += len(part)
        if n_waiting >= block:
            yield np.concatenate(waiting)
            waiting.clear()
            n_waiting = 0
    if waiting:
        yield np.concatenate(waiting)


def _arrange(labels: IntArray, free: IntArray, sizes: list[int], block: int) -> Iterator[IntArray]:
    """Place the last group on the `free` positions in every way, then the one before it, ..."""
    last = len(sizes) - 1
    if last == 0:
        yield labels[None, :]
        return
    choices = combinations(range(len(free)), sizes[last])
    while flat := list(chain.from_iterable(islice(choices, block))):
        chosen = np.array(flat, dtype=np.int64).reshape(-1, sizes[last])
        placed = np.tile(labels, (len(chosen), 1))
        np.put_along_axis(placed, free[chosen], last, axis=1)
        if last == 1:
            yield placed
            continue
        for row, taken in zip(placed, chosen, strict=True):
            yield from _arrange(row, np.delete(free, taken), sizes[:-1], block)
