"""What the estimators hand back: an estimate with its interval, or a test."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

#: The multiplier SPSS KM prints its intervals with (IBM SPSS Statistics Algorithms, KM).
SPSS_NORMAL_QUANTILE = 1.96


@dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval.

    Attributes
    ----------
    value, lower, upper : float or None
        In the unit of the input times unless the function says otherwise. None means that the
        quantity is not reached or not estimable; neither nan nor infinity is ever used for it.
    std_error : float or None
        Standard error, where the method has one.
    method : str
        The convention and the interval, in words fit for a footnote.
    p_value : float or None
        Two-sided P of the hypothesis that the quantity is zero, where that makes sense.
    """

    value: float | None
    lower: float | None
    upper: float | None
    std_error: float | None
    method: str
    p_value: float | None = None


@dataclass(frozen=True, eq=False)
class TestResult:
    """A hypothesis test.

    Attributes
    ----------
    statistic : float
        Chi-square unless `method` says otherwise.
    degrees_of_freedom : int
        Zero means that the data hold nothing to compare; the statistic is then 0 and P is 1.
    p_value : float
        Two-sided.
    method : str
        Name of the test, fit for a footnote.
    table : DataFrame or None
        For tests between groups: group, n, observed, expected (counts of events, unweighted).
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    method: str
    table: pd.DataFrame | None = None

    # The name begins with "Test"; without this pytest tries to collect it.
    __test__ = False
