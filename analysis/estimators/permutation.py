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
    group_codes,
    survival_rows,
)

Statistic = Literal["chi-square", "score"]

#: Statistics closer than this, relative to the observed one, are ties.
TIE_TOLERANCE = 1e-9

#: Arrangements are evaluated in blocks of about this many cells (rows x patients x groups).
CELLS_PER_BLOCK = 2_000_000


def permutation_log_rank(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    n_resamples: int = 20000,
    seed: int = 20261122,
    exact_up_to: int = 200000,
    statistic: Statistic = "chi-square",
) -> TestResult:
    """Log-rank test whose P comes from rearranging the group labels over the observed times.

    Parameters
    ----------
    time, event, group
        As `log_rank`.
    n_resamples, seed
        Monte-Carlo arrangements and the seed of their generator.
    exact_up_to
        With at most this many distinct arrangements all are enumerated and P is exact; otherwise
        P = (1 + as extreme) / (1 + resamples) (Phipson and Smyth 2010).
    statistic
        What is compared. "chi-square" is the log-rank statistic with its variance computed anew
        for each arrangement: valid asymptotically even if censoring differs between the groups
        (Neuhaus 1993), and the same number as the one reported. "score" is the linear rank
        statistic with the permutation variance, as R's coin::logrank_test.

    Returns
    -------
    TestResult
        The observed chi-square log-rank statistic and its degrees of freedom; `method` says
        whether P is exact or Monte-Carlo and from how many arrangements.

    Raises
    ------
    InvalidSurvivalInput
        As `log_rank`.
    """
    if n_resamples < 1:
        raise ValueError("n_resamples must be at least 1.")
    if statistic not in ("chi-square", "score"):
        raise ValueError("statistic must be 'chi-square' or 'score'.")
    rows = survival_rows(time, event)
    labels, code = group_codes(group, len(rows), "group labels")
    if len(labels) < 2:
        raise InvalidSurvivalInput("A log-rank test needs at least two groups.")
    reported = log_rank(rows.grid[rows.exit_code], rows.event, group)
    ordered = np.argsort(rows.exit_code, kind="stable")
    evaluate = _Evaluator(
        rows.exit_code[ordered], rows.event[ordered], np.bincount(code), statistic
    )
    observed = evaluate(code[ordered][None, :])[0]
    threshold = observed - TIE_TOLERANCE * max(observed, 1.0)

    sizes = np.bincount(code).tolist()
    n_arrangements = _count(sizes)
    block = max(1, CELLS_PER_BLOCK // (len(rows) * len(labels)))
    if n_arrangements <= exact_up_to:
        extreme = sum(int(np.sum(evaluate(part) >= threshold)) for part in _blocks(sizes, block))
        p_value = extreme / n_arrangements
        method = f"exact permutation log-rank test ({n_arrangements} arrangements)"
    else:
        generator = np.random.default_rng(seed)
        extreme = 0
        for start in range(0, n_resamples, block):
            size = min(block, n_resamples - start)
            shuffled = generator.permuted(np.tile(code, (size, 1)), axis=1)
            extreme += int(np.sum(evaluate(shuffled) >= threshold))
        p_value = (1 + extreme) / (1 + n_resamples)
        method = f"Monte-Carlo permutation log-rank test ({n_resamples} resamples, seed {seed})"
    return TestResult(
        statistic=reported.statistic,
        degrees_of_freedom=reported.degrees_of_freedom,
        p_value=p_value,
        method=method + (", linear rank statistic" if statistic == "score" else ""),
        table=reported.table,
    )


class _Evaluator:
    """Statistics of many arrangements of labels over one set of ordered times at once."""

    def __init__(
        self, exit_code: IntArray, event: FloatArray, sizes: IntArray, statistic: Statistic
    ) -> None:
        exits = np.bincount(exit_code)
        deaths = np.bincount(exit_code, weights=event)
        n = np.cumsum(exits[::-1])[::-1].astype(np.float64)
        hazard = np.cumsum(deaths / n)
        self._scores: FloatArray = event - hazard[exit_code]
        happened = deaths > 0
        self._first_at_risk = (np.cumsum(exits) - exits)[happened]
        self._n = n[happened]
        dying = deaths[happened]
        self._factor = dying * (self._n - dying) / np.maximum(self._n - 1, 1)
        self._sizes = sizes
        self._statistic = statistic

    def __call__(self, arrangements: IntArray) -> FloatArray:
        """Statistic of each row of `arrangements` (shape (b, n), labels in order of time)."""
        k = len(self._sizes)
        indicator = arrangements[:, :, None] == np.arange(k - 1)
        score = np.einsum("bnk,n->bk", indicator, self._scores)
        if self._statistic == "score":
            share = self._sizes[:-1] / self._sizes.sum()
            spread = np.sum(self._scores**2)
            variance = spread * (np.diag(share) - np.outer(share, share))
            return _quadratic(score, np.broadcast_to(variance, (len(score), k - 1, k - 1)))
        gone = np.cumsum(indicator, axis=1)
        before = np.concatenate([np.zeros((len(score), 1, k - 1), dtype=gone.dtype), gone], axis=1)
        at_risk = gone[:, -1:, :] - before[:, self._first_at_risk, :]
        share = at_risk / self._n[None, :, None]
        weighted = share * self._factor[None, :, None]
        variance = -np.einsum("btj,btk->bjk", weighted, share)
        diagonal = np.arange(k - 1)
        variance[:, diagonal, diagonal] += weighted.sum(axis=1)
        return _quadratic(score, variance)


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
    for part in _arrange(np.zeros(sum(sizes), dtype=np.int64), np.arange(sum(sizes)), sizes, block):
        waiting.append(part)
        if sum(len(rows) for rows in waiting) >= block:
            yield np.concatenate(waiting)
            waiting.clear()
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
