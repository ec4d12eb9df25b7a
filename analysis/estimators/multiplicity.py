"""P values adjusted for a family of tests, as R's p.adjust."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from analysis.estimators.risk_table import FloatArray

METHODS = ("none", "bonferroni", "holm", "hochberg", "hommel", "bh", "by")


def adjust_p_values(p_values: npt.ArrayLike, method: str = "holm") -> FloatArray:
    """Adjust a family of P values.

    Parameters
    ----------
    p_values : shape (m,)
    method
        "holm" (Holm 1979), "bonferroni", "hochberg" (1988), "hommel" (1988), "bh" (Benjamini and
        Hochberg 1995), "by" (Benjamini and Yekutieli 2001) or "none"; case does not matter.

    Returns
    -------
    float array, shape (m,), in the order given.
    """
    p = np.asarray(p_values, dtype=np.float64)
    m = len(p)
    name = method.lower()
    if name not in METHODS:
        raise ValueError(f"adjust must be one of {', '.join(METHODS)}.")
    if name == "none" or m < 2:
        return p.copy()
    if name == "bonferroni":
        return np.minimum(p * m, 1.0)
    if name == "hommel":
        return _hommel(p)
    ascending = np.argsort(p, kind="stable")
    rank = np.arange(1, m + 1)
    adjusted = np.empty(m)
    if name == "holm":
        adjusted[ascending] = np.maximum.accumulate((m - rank + 1) * p[ascending])
    else:
        if name == "hochberg":
            factor = (m - rank + 1).astype(np.float64)
        else:
            factor = m / rank * (np.sum(1 / rank) if name == "by" else 1.0)
        adjusted[ascending] = np.minimum.accumulate((factor * p[ascending])[::-1])[::-1]
    return np.minimum(adjusted, 1.0)


def _hommel(p: FloatArray) -> FloatArray:
    """Hommel's procedure by the recursion of Wright (1992), the one R uses."""
    m = len(p)
    ascending = np.argsort(p, kind="stable")
    ordered = p[ascending]
    best = np.full(m, np.min(m * ordered / np.arange(1, m + 1)))
    adjusted = best.copy()
    for size in range(m - 1, 1, -1):
        head = np.arange(m - size + 1)
        tail = np.arange(m - size + 1, m)
        smallest = np.min(size * ordered[tail] / np.arange(2, size + 1))
        best[head] = np.minimum(size * ordered[head], smallest)
        best[tail] = best[m - size]
        adjusted = np.maximum(adjusted, best)
    result = np.empty(m)
    result[ascending] = np.maximum(adjusted, ordered)
    return result
