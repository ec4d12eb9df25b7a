"""MaxCombo: the largest of several weighted log-rank tests, judged by their joint distribution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc, ndtri
from scipy.stats import qmc

from analysis.estimators.distributions import two_sided_normal
from analysis.estimators.log_rank import (
    RANK_TOLERANCE,
    group_tables,
    score_and_variance,
    weights_of,
)
from analysis.estimators.results import TestResult
from analysis.estimators.risk_table import (
    FloatArray,
    InvalidSurvivalInput,
    group_codes,
    survival_rows,
)

#: Log-rank, early, late and middle differences (Lin et al. 2020).
COMBINATION = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))

#: Directions on the sphere over which the joint tail is averaged; doubling them moves P by less
#: than 1e-6 of itself in three dimensions, which is what the default combination has.
AZIMUTHS, HEIGHTS = 600, 300
SOBOL_POWER, SOBOL_SEED = 17, 20261122


def max_combo(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    combination: Sequence[tuple[float, float]] = COMBINATION,
    strata: npt.ArrayLike | None = None,
    entry: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    sampling: bool | None = None,
) -> TestResult:
    """MaxCombo test of two groups, for curves that need not have proportional hazards.

    Parameters
    ----------
    time, event, strata, entry, weights, sampling
        As `log_rank`.
    group : shape (n,)
        Exactly two labels.
    combination
        (rho, gamma) of each Fleming-Harrington weight S(t-)^rho (1 - S(t-))^gamma.

    Returns
    -------
    TestResult
        `statistic` is max |z|, `degrees_of_freedom` the rank of the joint distribution, P the
        two-sided tail of the joint normal with the correlation
        sum w_a w_b dV / sqrt(sum w_a^2 dV sum w_b^2 dV) (Lin et al. 2020, Stat Biopharm Res;
        Karrison 2016). `table` has rho, gamma, z (positive: the second group has more events
        than expected) and the P of each test alone.

    Raises
    ------
    InvalidSurvivalInput
        As `log_rank`; also for other than two groups.
    """
    if not combination:
        raise ValueError("The combination needs at least one weight.")
    rows = survival_rows(time, event, entry=entry, weights=weights)
    labels, code = group_codes(group, len(rows), "group labels")
    if len(labels) != 2:
        raise InvalidSurvivalInput(
            f"The MaxCombo test compares two groups; the data have {len(labels)}."
        )
    k = len(combination)
    score, covariance = np.zeros(k), np.zeros((k, k))
    for table in group_tables(rows, code, 2, strata, sampling=rows.is_sampled(sampling)):
        weight = [weights_of(table, "fleming-harrington", *pair) for pair in combination]
        for a in range(k):
            score[a] += score_and_variance(table, weight[a])[0][1]
            for b in range(k):
                both = np.sqrt(weight[a] * weight[b])
                covariance[a, b] += score_and_variance(table, both)[1][1, 1]

    spread = np.sqrt(np.diag(covariance))
    informative = spread > 0
    z = np.divide(score, spread, out=np.zeros(k), where=informative)
    names = ", ".join(f"({rho:g},{gamma:g})" for rho, gamma in combination)
    largest = float(np.max(np.abs(z)))
    p_value, rank = 1.0, 0
    if informative.any():
        chosen = np.ix_(informative, informative)
        correlation = covariance[chosen] / np.outer(spread[informative], spread[informative])
        p_value, rank = joint_tail(largest, correlation)
    return TestResult(
        statistic=largest,
        degrees_of_freedom=rank,
        p_value=p_value,
        method=("stratified " if strata is not None else "")
        + f"MaxCombo test, Fleming-Harrington weights {names}; statistic max |z|",
        table=pd.DataFrame(
            {
                "rho": [pair[0] for pair in combination],
                "gamma": [pair[1] for pair in combination],
                "z": z,
                "p_value": [two_sided_normal(value) for value in z],
            }
        ),
    )


def joint_tail(bound: float, correlation: FloatArray) -> tuple[float, int]:
    """P(max |Z| >= bound) of a normal vector with this correlation, and the rank of the latter.

    Z = A U R with U uniform on the sphere of the rank's dimension and R^2 chi-square: given the
    direction the tail is one of chi-square, so that small P keep their relative accuracy and a
    singular correlation (1 = S + (1 - S) makes the default one so) needs no special care.
    """
    values, vectors = np.linalg.eigh(correlation)
    kept = values > RANK_TOLERANCE * values[-1]
    loading = vectors[:, kept] * np.sqrt(values[kept])
    rank = int(kept.sum())
    if rank == 1:
        return two_sided_normal(bound), rank
    directions, weight = _sphere(rank)
    reach = np.max(np.abs(directions @ loading.T), axis=1)
    return float(weight @ chdtrc(rank, (bound / reach) ** 2)), rank


@cache
def _sphere(dimension: int) -> tuple[FloatArray, FloatArray]:
    """Directions, shape (m, dimension), of which only one of each opposite pair is needed."""
    if dimension == 2:
        angle = (np.arange(AZIMUTHS * HEIGHTS) + 0.5) * np.pi / (AZIMUTHS * HEIGHTS)
        return np.column_stack([np.cos(angle), np.sin(angle)]), np.full(len(angle), 1 / len(angle))
    if dimension == 3:
        azimuth = (np.arange(AZIMUTHS) + 0.5) * 2 * np.pi / AZIMUTHS
        nodes, node_weight = np.polynomial.legendre.leggauss(HEIGHTS)
        height, share = (nodes + 1) / 2, node_weight / 2
        radius = np.sqrt(1 - height**2)
        directions = np.column_stack(
            [
                np.outer(radius, np.cos(azimuth)).ravel(),
                np.outer(radius, np.sin(azimuth)).ravel(),
                np.repeat(height, AZIMUTHS),
            ]
        )
        return directions, np.repeat(share / AZIMUTHS, AZIMUTHS)
    uniform = qmc.Sobol(dimension, rng=SOBOL_SEED).random_base2(SOBOL_POWER)
    normal = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    directions = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return directions, np.full(len(directions), 1 / len(directions))
