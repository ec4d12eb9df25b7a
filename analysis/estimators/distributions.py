"""Tail areas and quantiles of the normal and chi-square distributions."""

from __future__ import annotations

from scipy.special import chdtrc, chdtri, ndtr, ndtri

from analysis.estimators.risk_table import FloatArray


def normal_multiplier(level: float) -> float:
    """Half width of a two-sided normal interval in standard errors: 1.959963985 for 0.95."""
    if not 0 < level < 1:
        raise ValueError("level must lie between 0 and 1.")
    return float(ndtri(0.5 + level / 2))


def two_sided_normal(z: float) -> float:
    """P(|Z| >= |z|)."""
    return float(2 * ndtr(-abs(z)))


def two_sided_normals(z: FloatArray) -> FloatArray:
    """P(|Z| >= |z|) for each element."""
    p: FloatArray = 2 * ndtr(-abs(z))
    return p


def chi_square_tail(statistic: float, df: int) -> float:
    """P(chi-square >= statistic); 1 without degrees of freedom, where nothing is compared."""
    return float(chdtrc(df, statistic)) if df else 1.0


def chi_square_quantile(level: float, df: int) -> float:
    """The value that chi-square exceeds with probability 1 - level."""
    if not 0 < level < 1:
        raise ValueError("level must lie between 0 and 1.")
    return float(chdtri(df, 1 - level))
