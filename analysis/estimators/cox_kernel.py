"""Cox models of thousands of resamples: one compiled loop over the rows for each Newton step.

A fit by `cox` spends milliseconds between numpy's arrays, however few the patients. What is
reported is fitted there; where a model is fitted over and over, it is fitted here. Slow to import.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.estimators.risk_table import FloatArray, IntArray

MAX_STEPS = 30
MAX_HALVINGS = 12
STEP_TOLERANCE = 1e-9
#: Log hazard ratio per standard deviation beyond which a likelihood is taken for monotone.
INFINITE = 25.0
SMALLEST_PIVOT = 1e-9


@nb.njit(cache=True, error_model="numpy")
def coefficients(
    x: FloatArray, cell: IntArray, event: FloatArray, drawn: IntArray, penalty: float
) -> FloatArray:
    """Log hazard ratios of every resample, with Efron's ties.

    A row drawn m times stands for m patients who died together.

    Parameters
    ----------
    x : shape (n, p)
        Covariates of unit variance; rows by falling time.
    cell : shape (n,)
        Equal for rows of one time.
    event : shape (n,)
        1 for a death, 0 for a censoring.
    drawn : shape (n_resamples, n)
    penalty
        Of half the sum of squares of the log hazard ratios; 0 for none.

    Returns
    -------
    float array, shape (n_resamples, p)
        NaN where there is no finite estimate.
    """
    p = x.shape[1]
    found = np.full((drawn.shape[0], p), np.nan)
    for sample in range(drawn.shape[0]):
        beta = np.zeros(p)
        loglik, score, information = _derivatives(x, cell, event, drawn[sample], beta, penalty)
        for _ in range(MAX_STEPS):
            step = _solved(information, score)
            if np.isnan(step[0]) or _largest(beta) > INFINITE:
                break
            if _largest(step) <= STEP_TOLERANCE:
                found[sample] = beta + step
                break
            for _ in range(MAX_HALVINGS):
                there, score, information = _derivatives(
                    x, cell, event, drawn[sample], beta + step, penalty
                )
                if there >= loglik - 1e-10 * abs(loglik):
                    break
                step = step / 2
            beta, loglik = beta + step, there
    return found


@nb.njit(cache=True, error_model="numpy")
def concordances(
    predictor: FloatArray, cell: IntArray, event: FloatArray, drawn: IntArray
) -> FloatArray:
    """Harrell's C of each predictor on its resample; NaN without a comparable pair.

    Takes time with the square of the rows.

    Parameters
    ----------
    predictor : shape (n_resamples, n)
        Higher means higher risk.
    cell, event, drawn
        As `coefficients`.
    """
    found = np.full(len(predictor), np.nan)
    for sample in range(len(predictor)):
        own, times = predictor[sample], drawn[sample]
        pairs, right = 0.0, 0.0
        for i in range(len(cell)):
            if event[i] == 0 or times[i] == 0:
                continue
            for j in range(len(cell)):
                # Rows of the same time are comparable if only one of them died.
                if cell[j] > cell[i] or (cell[j] == cell[i] and event[j] == 1):
                    break
                weight = times[i] * times[j]
                pairs += weight
                if own[i] > own[j]:
                    right += weight
                elif own[i] == own[j]:
                    right += weight / 2
        if pairs > 0:
            found[sample] = right / pairs
    return found


@nb.njit(cache=True, error_model="numpy")
def _derivatives(
    x: FloatArray,
    cell: IntArray,
    event: FloatArray,
    drawn: IntArray,
    beta: FloatArray,
    penalty: float,
) -> tuple[float, FloatArray, FloatArray]:
    n, p = x.shape
    total, first, second = 0.0, np.zeros(p), np.zeros((p, p))
    loglik, score, information = 0.0, np.zeros(p), np.zeros((p, p))
    start = 0
    while start < n:
        end = start
        deaths, dead, dead_first, dead_second = 0.0, 0.0, np.zeros(p), np.zeros((p, p))
        while end < n and cell[end] == cell[start]:
            if drawn[end] > 0:
                linear = 0.0
                for a in range(p):
                    linear += beta[a] * x[end, a]
                risk = drawn[end] * np.exp(linear)
                died = event[end] == 1
                total += risk
                if died:
                    deaths += drawn[end]
                    dead += risk
                    loglik += drawn[end] * linear
                for a in range(p):
                    moment = risk * x[end, a]
                    first[a] += moment
                    if died:
                        score[a] += drawn[end] * x[end, a]
                        dead_first[a] += moment
                    for b in range(a + 1):
                        second[a, b] += moment * x[end, b]
                        if died:
                            dead_second[a, b] += moment * x[end, b]
            end += 1
        for place in range(int(deaths)):
            share = place / deaths
            left = total - share * dead
            loglik -= np.log(left)
            for a in range(p):
                mean = (first[a] - share * dead_first[a]) / left
                score[a] -= mean
                for b in range(a + 1):
                    information[a, b] += (second[a, b] - share * dead_second[a, b]) / left - (
                        mean * (first[b] - share * dead_first[b]) / left
                    )
        start = end
    for a in range(p):
        loglik -= penalty * beta[a] ** 2 / 2
        score[a] -= penalty * beta[a]
        information[a, a] += penalty
    return loglik, score, information


@nb.njit(cache=True, error_model="numpy")
def _largest(values: FloatArray) -> float:
    most = 0.0
    for value in values:
        most = max(most, abs(value))
    return most


@nb.njit(cache=True, error_model="numpy")
def _solved(information: FloatArray, score: FloatArray) -> FloatArray:
    """Newton's step by Cholesky's factors of the lower triangle; NaN if it is not regular."""
    p = len(score)
    factor = np.zeros((p, p))
    for a in range(p):
        for b in range(a + 1):
            rest = information[a, b]
            for c in range(b):
                rest -= factor[a, c] * factor[b, c]
            if a > b:
                factor[a, b] = rest / factor[b, b]
            elif rest > SMALLEST_PIVOT:
                factor[a, a] = np.sqrt(rest)
            else:  # not positive, or not a number
                return np.full(p, np.nan)
    step = score.copy()
    for a in range(p):
        for c in range(a):
            step[a] -= factor[a, c] * step[c]
        step[a] /= factor[a, a]
    for a in range(p - 1, -1, -1):
        for c in range(a + 1, p):
            step[a] -= factor[c, a] * step[c]
        step[a] /= factor[a, a]
    return step
